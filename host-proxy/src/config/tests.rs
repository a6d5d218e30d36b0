#![allow(clippy::unwrap_used)]
use super::*;

const DEVELOPMENT: &str = r#"
development = true
[http]
listen = "127.0.0.1:8480"
[store]
database = "strongroom.sqlite"
[enclave]
endpoint = "unix:///run/strongroom/enclave.sock"
policy = "policy.dsse.json"
[[relay]]
listen = "unix:///run/strongroom/kms-relay.sock"
target = "127.0.0.1:8443"
[credentials]
source = "file"
path = "aws/SECRET"
[mock]
nsm = "mock/nsm"
image = "strongroom-dev"
enclave_config = "/etc/enclave.toml"
kms = "mock/kms"
"#;

const PRODUCTION: &str = r#"
[http]
listen = "10.0.0.1:8480"
tls = { certificate = "proxy.pem", key = "proxy.key", client_ca = "clients.pem" }
[store]
database = "/var/lib/strongroom/strongroom.sqlite"
[enclave]
endpoint = "vsock://16:5000"
policy = "policy.dsse.json"
[[relay]]
listen = "vsock://4294967295:8000"
target = "kms.eu-central-1.amazonaws.com:443"
[[relay]]
listen = "vsock://4294967295:8001"
target = "[2001:db8::1]:443"
[credentials]
source = "imds"
"#;

const POLICY: &str = r#"{"payloadType":"application/vnd.strongroom.policy.v1+json","payload":"e30=","signatures":[]}"#;

fn load(text: &str, overrides: Overrides) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.dsse.json"), POLICY).unwrap();
    let variable = |name: &str| Some(name.replace('_', ""));
    File::parse(Path::new("proxy.toml"), text.as_bytes())?.check(overrides, folder.path(), variable)
}

fn refusal(text: &str, overrides: Overrides) -> String {
    let message = load(text, overrides).unwrap_err().to_string();
    assert!(!message.contains("SECRET"), "{message}");
    message
}

#[test]
fn both_kinds_are_read() {
    let config = load(DEVELOPMENT, Overrides::default()).unwrap();
    assert!(config.mock.is_none(), "only with --mock-enclave");
    assert!(config.database.is_absolute());
    assert_eq!(config.policy, POLICY.as_bytes());

    let config = load(DEVELOPMENT, Overrides { mock_enclave: true, listen: None }).unwrap();
    let mock = config.mock.unwrap();
    assert!(mock.kms.is_absolute());
    assert_eq!(mock.enclave_config, Path::new("/etc/enclave.toml"));

    let config = load(PRODUCTION, Overrides::default()).unwrap();
    assert!(config.tls.unwrap().certificate.is_absolute());
    let relays: Vec<_> = config.relays.iter().map(|relay| relay.target.as_str()).collect();
    assert_eq!(relays, ["kms.eu-central-1.amazonaws.com:443", "[2001:db8::1]:443"]);
    assert_eq!(config.relays.first().target.as_str(), relays[0]);
}

#[test]
fn rules_between_fields() {
    let open = Overrides { listen: Some("0.0.0.0:8480".parse().unwrap()), mock_enclave: false };
    assert!(refusal(DEVELOPMENT, open).contains("http.listen: expected a loopback address"));
    assert!(load(PRODUCTION, open).is_ok(), "mTLS may listen anywhere");

    let none = Overrides::default();
    let no_tls = PRODUCTION.replace("tls = {", "# tls = {");
    assert!(refusal(&no_tls, none).contains("http.tls: expected certificate"));
    let both = DEVELOPMENT.replace(
        "[store]",
        "tls = { certificate = \"a\", key = \"b\", client_ca = \"c\" }\n[store]",
    );
    assert!(refusal(&both, none).contains("http.tls: expected without development"));

    let (_, mock) = DEVELOPMENT.split_once("[mock]").unwrap();
    assert!(refusal(&format!("{PRODUCTION}[mock]{mock}"), none).starts_with("proxy.toml: mock:"));
    let mock = Overrides { mock_enclave: true, listen: None };
    assert!(refusal(PRODUCTION, mock).contains("--mock-enclave"));

    let hybrid = DEVELOPMENT
        .replace("unix:///run/strongroom/kms-relay.sock", "hybrid-vsock:///run/vm.sock:8000");
    assert!(refusal(&hybrid, none).contains("relay.listen: expected unix:// or vsock://"));
    for no_cid in ["unix:///run/strongroom/enclave.sock", "hybrid-vsock:///run/vm.sock:5000"] {
        let expected = "relay.listen: expected unix://, because enclave.endpoint is not vsock://";
        let vsock_relays = PRODUCTION.replace("vsock://16:5000", no_cid);
        assert_eq!(refusal(&vsock_relays, none), format!("proxy.toml: {expected}"));
        // One is enough, wherever it stands.
        let second = vsock_relays.replace("vsock://4294967295:8000", "unix:///run/kms.sock");
        assert_eq!(refusal(&second, none), format!("proxy.toml: {expected}"));
        let neither = second.replace("vsock://4294967295:8001", "unix:///run/other.sock");
        assert!(load(&neither, none).is_ok(), "{no_cid}");
    }
    for twice in ["vsock://4294967295:8000", "vsock://3:8000"] {
        let twice = PRODUCTION.replace("vsock://4294967295:8001", twice);
        assert!(refusal(&twice, none).contains("relay.listen: expected another one for each"));
    }
    let (before, after) = PRODUCTION.split_once("[[relay]]").unwrap();
    let (_, credentials) = after.split_once("[credentials]").unwrap();
    let no_relay = format!("relay = []\n{before}[credentials]{credentials}");
    assert_eq!(refusal(&no_relay, none), "proxy.toml: relay: expected one at least");
    let one_table = PRODUCTION.replacen("[[relay]]", "[relay]", 1);
    assert!(refusal(&one_table, none).starts_with("proxy.toml: "));
    let no_policy = DEVELOPMENT.replace("policy.dsse.json", "other.json");
    assert!(matches!(load(&no_policy, none), Err(ConfigError::Read { .. })));
}

#[test]
fn refusals_name_the_field_and_never_echo() {
    let none = Overrides::default();
    for (from, to, expected) in [
        ("[http]", "SECRET = 1\n[http]", "proxy.toml: unknown field, expected one of"),
        ("\"127.0.0.1:8480\"", "\"SECRET\"", "proxy.toml: http.listen: "),
        ("\"127.0.0.1:8443\"", "\"SECRET\"", "proxy.toml: relay[0].target: "),
        ("\"127.0.0.1:8443\"", "\"host:0\"", "expected HOST:PORT"),
        ("\"127.0.0.1:8443\"", "\"https://host:443\"", "expected HOST:PORT"),
        ("\"127.0.0.1:8443\"", "\"::1:443\"", "expected HOST:PORT"),
        ("\"127.0.0.1:8443\"", "\"[::g]:443\"", "expected HOST:PORT"),
        ("unix:///run/strongroom/enclave.sock", "SECRET", "proxy.toml: enclave.endpoint: "),
        ("[store]", "", "proxy.toml: "),
        ("database =", "path =", "unknown field, expected `database`"),
        ("\"file\"", "\"SECRET\"", "proxy.toml: credentials.source: "),
        ("\"file\"", "\"imds\"", "credentials: expected path and profile with source = \"file\""),
        ("\"file\"", "\"environment\"", "proxy.toml: credentials: expected path and profile"),
        ("path = \"aws/SECRET\"", "", "proxy.toml: credentials.path: expected"),
        (
            "path =",
            "secret_access_key =",
            "unknown field, expected one of `source`, `path`, `profile`",
        ),
        ("path =", "profile = \"SECRET]\"\npath =", "expected a profile's name"),
        ("path = \"aws/SECRET\"", "path = SECRET", "line 15"),
    ] {
        let message = refusal(&DEVELOPMENT.replacen(from, to, 1), none);
        assert!(message.contains(expected), "{to}: {message}");
    }
    let not_text =
        File::parse(Path::new("proxy.toml"), b"development = true\n# \xff").err().unwrap();
    assert!(matches!(not_text, ConfigError::Syntax { line: 2, .. }));
    let other = POLICY.replace("policy.v1", "intent.v1");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.dsse.json"), other).unwrap();
    let refused = File::parse(Path::new("proxy.toml"), DEVELOPMENT.as_bytes())
        .unwrap()
        .check(none, folder.path(), |_| None)
        .unwrap_err();
    assert!(refused.to_string().starts_with("enclave.policy: envelope: payloadType"));
}

#[test]
fn each_source_of_credentials() {
    let none = Overrides::default();
    let file = load(DEVELOPMENT, none).unwrap().credentials;
    let Source::File { path, profile } = file else { panic!("{file:?}") };
    assert!(path.is_absolute() && path.ends_with("aws/SECRET"));
    assert_eq!(profile.to_string(), "default");
    let named = DEVELOPMENT.replace("path =", "profile = \"enclave\"\npath =");
    let Source::File { profile, .. } = load(&named, none).unwrap().credentials else { panic!() };
    assert_eq!(profile.to_string(), "enclave");
    assert!(matches!(load(PRODUCTION, none).unwrap().credentials, Source::Imds(_)));

    let environment = PRODUCTION.replace("\"imds\"", "\"environment\"");
    let Source::Environment(lent) = load(&environment, none).unwrap().credentials else { panic!() };
    assert_eq!(lent.access_key_id, "AWSACCESSKEYID");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.dsse.json"), POLICY).unwrap();
    let refused = File::parse(Path::new("proxy.toml"), environment.as_bytes())
        .unwrap()
        .check(none, folder.path(), |_| None)
        .unwrap_err()
        .to_string();
    assert_eq!(refused, "credentials: expected the environment variable AWS_ACCESS_KEY_ID");
}

#[test]
fn the_documented_example_is_read() {
    let example = include_str!("../../../docs/examples/proxy.toml");
    let example = example.replace("/etc/strongroom/policy.dsse.json", "policy.dsse.json");
    let config = load(&example, Overrides::default()).unwrap();
    assert!(matches!(config.credentials, Source::Imds(_)));
}
