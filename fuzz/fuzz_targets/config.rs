//! A config is read or refused, without a panic; a node's paths stay below the folders that it names.
#![no_main]
use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use pki::name::NodeName;
use site::config::{ClientConfig, ConfigFile, ControllerConfig, NodeConfig};

fuzz_target!(|text: &[u8]| {
    let Ok(config) = ConfigFile::parse(Path::new("/etc/slurm/slurm-pki.toml"), text) else { return };
    let _ = (ClientConfig::read(&config), ControllerConfig::read(&config));
    let Ok(node) = NodeConfig::read(&config) else { return };
    let name = NodeName::parse(b"a.b").unwrap();
    let (template, path) = (Path::new(node.token_file.as_str()), node.token_file.path(&name));
    assert!(path.is_absolute());
    let depth = |path: &Path| path.components().filter(|part| *part != Component::CurDir).count();
    assert_eq!(depth(&path), depth(template));
});
