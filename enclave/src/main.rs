//! The production enclave: the one place that names the real devices.

mod device;

use std::process::ExitCode;
use std::sync::Arc;

use strongroom_enclave::boot::Measured;
use strongroom_enclave::server::Server;

/// Where the image has the measured configuration.
const CONFIGURATION: &str = "/etc/strongroom/enclave.toml";

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let error = match runtime {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => error.into(),
    };
    // The console exists in debug mode only; what stands here is no secret either way.
    eprintln!("strongroom-enclave: {error}");
    ExitCode::FAILURE
}

/// Serves for as long as the device does; gives what ended it.
async fn run() -> Box<dyn std::error::Error> {
    match start().await {
        Ok(server) => server.serve().await.into(),
        Err(error) => error,
    }
}

async fn start() -> Result<Arc<Server<device::Vsock>>, Box<dyn std::error::Error>> {
    let configuration =
        std::fs::read(CONFIGURATION).map_err(|error| format!("{CONFIGURATION}: {error}"))?;
    let nsm = Arc::new(device::Nsm::open()?);
    let measured = Measured::measure(nsm, &configuration)?;
    let transport = device::Vsock::listen(measured.vsock())?;
    Ok(Server::new(Arc::new(transport), measured))
}
