//! Measurements as arguments: registers that go together, or files.

use std::path::PathBuf;

use clap::Args;
use strongroom_attestation::key_policy::Measurements;
use strongroom_attestation::measure::Pcr;
use strongroom_shared::json;

use crate::error::Error;
use crate::files;

/// What enclaves attest to.
#[derive(Args)]
pub(super) struct MeasuredArgs {
    /// The image: PCR0, as nitro-cli prints it when it builds the image. Repeatable.
    #[arg(long, value_name = "HEX")]
    pcr0: Vec<Pcr>,
    /// The configuration: PCR16, which follows from the bytes of enclave.toml. Repeatable.
    #[arg(long = "config-pcr", value_name = "HEX")]
    pcr16: Vec<Pcr>,
    /// The signing policy: PCR17, as `strongroom policy check` prints it. Repeatable.
    #[arg(long = "policy-pcr", value_name = "HEX")]
    pcr17: Vec<Pcr>,
    /// A file {"pcr0","pcr16","pcr17"} in place of the three, as `strongroom dev init` writes it.
    /// Repeatable.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pcr0", "pcr16", "pcr17"])]
    measurements: Vec<PathBuf>,
}

impl MeasuredArgs {
    /// The same arguments, all of which another one excludes.
    pub(super) const NAMES: [&str; 4] = ["pcr0", "pcr16", "pcr17", "measurements"];

    /// All that were given, in order; none where there was no argument.
    pub(super) fn read(&self) -> Result<Vec<Measurements>, Error> {
        let Self { pcr0, pcr16, pcr17, measurements } = self;
        let given = [pcr0.len(), pcr16.len(), pcr17.len()];
        let several = given.into_iter().max().unwrap_or_default();
        if several > 0 && given.contains(&0) {
            return Err(Error::Usage(
                "expected --pcr0, --config-pcr and --policy-pcr together: they are bound at once",
            ));
        }
        let file = |file: &PathBuf| Ok(json::parse("measurements", &files::read(file)?)?);
        let read: Result<Vec<_>, Error> = measurements.iter().map(file).collect();
        let mut read = read?;
        for index in 0..several {
            let required = |name, values| {
                paired(name, values, index, several)?.ok_or(Error::Usage("expected a register"))
            };
            read.push(Measurements {
                pcr0: required("--pcr0", pcr0)?,
                pcr16: required("--config-pcr", pcr16)?,
                pcr17: required("--policy-pcr", pcr17)?,
            });
        }
        Ok(read)
    }
}

/// The value that goes with release `index` of `several`: the one of that number, the only one, or
/// none where none was given.
pub(super) fn paired(
    name: &'static str,
    values: &[Pcr],
    index: usize,
    several: usize,
) -> Result<Option<Pcr>, Error> {
    match values {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        many if many.len() == several => Ok(many.get(index).copied()),
        _ => Err(Error::Usage(match name {
            "--pcr0" => "--pcr0: expected one, or as many as of the other registers",
            "--config-pcr" => "--config-pcr: expected one, or as many as of the other registers",
            "--policy-pcr" => "--policy-pcr: expected one, or as many as of the other registers",
            "--pcr3" => "--pcr3: expected none, one, or as many as there are measurements",
            _ => "--pcr8: expected none, one, or as many as there are measurements",
        })),
    }
}
