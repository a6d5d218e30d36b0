//! The `openssl` command.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

/// The `openssl` command in a folder that holds the recipient's key as `key.der`.
pub(crate) struct OpenSsl {
    dir: tempfile::TempDir,
}

impl OpenSsl {
    /// With this key, in PKCS #8 DER.
    pub(crate) fn new(pkcs8: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key.der"), pkcs8).unwrap();
        Self { dir }
    }

    /// What the command prints; `None` when it fails.
    fn run(&self, arguments: &str, input: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("NOT RUN: the openssl command, with which this compares, is not installed");
        // A command that fails early reads none of it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        output.status.success().then_some(output.stdout)
    }

    /// Opens a blob with the key.
    pub(crate) fn decrypt(&self, blob: &[u8]) -> Option<Vec<u8>> {
        self.run("cms -decrypt -inform DER -inkey key.der -keyform DER -binary", blob)
    }

    /// Makes a certificate for the key, `NAME.pem`, with this subject key identifier.
    ///
    /// KMS names a recipient by the SHA-256 of its SubjectPublicKeyInfo; a sender with OpenSSL takes
    /// whatever the certificate says.
    pub(crate) fn certify(&self, name: &str, subject_key_identifier: &[u8]) {
        let config = format!(
            "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n\
             [name]\nCN = recipient\n[extensions]\nsubjectKeyIdentifier = {}\n",
            hex::encode_upper(subject_key_identifier)
        );
        fs::write(self.dir.path().join("request"), config).unwrap();
        let command =
            format!("req -x509 -new -config request -key key.der -keyform DER -out {name}.pem");
        self.run(&command, &[]).unwrap();
    }

    /// Seals as `options` say, to the certificates that they name.
    pub(crate) fn encrypt(&self, options: &str, plaintext: &[u8]) -> Vec<u8> {
        self.run(&format!("cms -encrypt -binary -outform DER {options}"), plaintext).unwrap()
    }
}
