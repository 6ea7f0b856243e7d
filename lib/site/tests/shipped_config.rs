//! The files in config/: they parse, they say what the code says, and nothing is missing in them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code: a broken premise stops the test")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use site::config::{
    CheckConfig, ClientConfig, ConfigFile, ControllerConfig, Daemon, DaemonConfig, FleetConfig, HooksConfig,
    MetricsConfig, NodeConfig, ResumeConfig, VaultConfig,
};

/// The seven, as their files are called, by the parameter of slurm.conf that names them.
const PARAMETERS: [(&str, &str); 7] = [
    ("get_node_token_script", "get_node_token"),
    ("generate_csr_script", "generate_csr"),
    ("get_node_cert_key_script", "get_cert_key"),
    ("validate_node_script", "validate_node_token"),
    ("sign_csr_script", "sign_csr"),
    ("keygen_script", "keygen"),
    ("certgen_script", "certgen"),
];

#[test]
fn every_shipped_config_is_known_to_the_last_key() {
    for name in ["slurm-pki.toml", "schedmd.toml", "lci-lab.toml"] {
        config(&shipped(name)).refuse_unknown().unwrap_or_else(|e| panic!("{name}: {e}"));
        config(&uncommented(&shipped(name))).refuse_unknown().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn the_shipped_config_as_it_is_changes_nothing() {
    assert_eq!(meaning(&shipped("slurm-pki.toml")), meaning(""));
    for daemon in Daemon::ALL {
        let config = config(&shipped("slurm-pki.toml"));
        let controller = ControllerConfig::read(&config).unwrap();
        assert!(!DaemonConfig::read(&config, &controller, daemon).unwrap().configured, "{daemon}");
    }
}

#[test]
fn every_value_in_the_shipped_config_is_the_default() {
    assert_eq!(meaning(&uncommented(&shipped("slurm-pki.toml"))), meaning(""));
}

#[test]
fn every_key_is_explained_in_the_shipped_config() {
    let shown: toml::Table = uncommented(&shipped("slurm-pki.toml")).parse().unwrap();
    for section in [
        "",
        "node",
        "controller",
        "client",
        "daemons.ctld",
        "fleet",
        "resume",
        "hooks",
        "check",
        "metrics",
        "vault",
        "keys",
    ] {
        let mut table = Some(&shown);
        for name in section.split('.').filter(|name| !name.is_empty()) {
            table = table.and_then(|table| table.get(name)).and_then(toml::Value::as_table);
        }
        let shown: BTreeSet<String> = table.unwrap().iter().filter(|(_, v)| is_key(v)).map(name_of).collect();
        assert_eq!(shown, known_keys(section), "[{section}]");
    }
}

#[test]
fn the_example_slurm_conf_names_each_program_once_by_slurms_parameter() {
    let text = shipped("slurm.conf.example");
    let mut named: Vec<(&str, &str)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let values = line.split_once('=').map_or("", |(_, values)| values);
        let pairs = values.split(',').filter_map(|pair| pair.split_once('='));
        named.extend(pairs.filter(|(parameter, _)| parameter.ends_with("_script")));
    }
    let paths =
        PARAMETERS.map(|(parameter, program)| (parameter, format!("/usr/libexec/slurm-pki/{program}")));
    assert_eq!(named, paths.iter().map(|(p, path)| (*p, path.as_str())).collect::<Vec<_>>());
}

#[test]
fn the_example_slurm_conf_names_slurms_files_where_the_default_config_has_them() {
    let config = config("");
    let controller = ControllerConfig::read(&config).unwrap();
    let text = shipped("slurm.conf.example");
    assert!(text.contains(&format!("ca_cert_file={}", controller.ca_cert.display())));
    for daemon in [Daemon::Ctld, Daemon::Dbd, Daemon::Restd] {
        let files = DaemonConfig::read(&config, &controller, daemon).unwrap();
        let name = daemon.short();
        let pair =
            format!("{name}_cert_file={},{name}_cert_key_file={}", files.cert.display(), files.key.display());
        assert!(text.contains(&pair), "{pair}");
    }
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Settings are `#key = value` and `#[section]`, prose is `# text`.
fn uncommented(text: &str) -> String {
    let setting = |line: &&str| line.starts_with(|first: char| first == '[' || first.is_ascii_lowercase());
    let line = |line| str::strip_prefix(line, "#").filter(|rest| setting(rest)).unwrap_or(line);
    text.lines().flat_map(|text| [line(text), "\n"]).collect()
}

fn config(text: &str) -> ConfigFile {
    ConfigFile::parse(Path::new("slurm-pki.toml"), text.as_bytes()).unwrap()
}

/// Everything that the programs make of a config.
fn meaning(text: &str) -> String {
    let config = config(text);
    let controller = ControllerConfig::read(&config).unwrap();
    let mut meaning = String::new();
    let mut add = |part: &dyn Debug| meaning += &format!("{part:#?}\n");
    add(&NodeConfig::read(&config).unwrap());
    add(&ClientConfig::read(&config).unwrap());
    for daemon in Daemon::ALL {
        let files = DaemonConfig::read(&config, &controller, daemon).unwrap();
        add(&DaemonConfig { configured: false, ..files });
    }
    add(&controller);
    add(&FleetConfig::read(&config).unwrap());
    add(&ResumeConfig::read(&config).unwrap());
    add(&HooksConfig::read(&config).unwrap());
    add(&CheckConfig::read(&config).unwrap());
    add(&MetricsConfig::read(&config).unwrap());
    add(&VaultConfig::read(&config).unwrap());
    meaning
}

fn is_key(value: &toml::Value) -> bool {
    value.as_table().is_none_or(toml::Table::is_empty)
}

fn name_of((name, _): (&String, &toml::Value)) -> String {
    name.clone()
}

/// The keys of a section as the code knows them: it lists them when it refuses another.
fn known_keys(section: &str) -> BTreeSet<String> {
    let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
    let refusal = config(&format!("{header}no_such_key = 1\n")).refuse_unknown().unwrap_err().to_string();
    // "one of" where there are more than two.
    let (_, list) = refusal.split_once("expected ").unwrap_or_else(|| panic!("{refusal}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
