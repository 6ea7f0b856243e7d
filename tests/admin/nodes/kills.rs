//! SIGKILL at every step that changes a file: the same command, run again, completes what is missing.

use support::programs::program;
use support::strace::{Call, Fault, strike, trace};

use crate::cluster::{Cluster, has_record};

pub(crate) const CHANGES: [&str; 10] = [
    "openat",
    "write",
    "renameat",
    "renameat2",
    "unlinkat",
    "mkdirat",
    "fsync",
    "syncfs",
    "fchmod",
    "fchown",
];

/// The steps of a command that change something of the site.
fn steps(cluster: &Cluster, args: &[&str]) -> Vec<Call> {
    let (calls, output) = trace(&cluster.slurm(), &program("slurm-pki"), args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let root = cluster.site.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let steps: Vec<_> = calls
        .into_iter()
        .filter(|call| call.is_one_of(&CHANGES) && call.mentions(&root))
        .filter(|call| call.name != "openat" || call.mentions("O_CREAT"))
        .collect();
    assert!(steps.len() > 8, "{steps:?}");
    steps
}

/// Nothing half written is left.
#[track_caller]
fn assert_tidy(cluster: &Cluster, step: &Call) {
    for (path, _) in cluster.state() {
        assert!(!path.to_string_lossy().ends_with(".tmp"), "{step:?}: {}", path.display());
    }
}

#[test]
fn an_interrupted_add_is_completed_by_the_next_one() {
    let args = ["node", "add", "n[1-2]"];
    for step in steps(&Cluster::new(), &args) {
        let cluster = Cluster::new();
        let output = strike(&cluster.slurm(), &program("slurm-pki"), &args, &step, Fault::Kill);
        assert!(!output.status.success(), "{step:?}");
        cluster.ok(&args);
        for node in ["n1", "n2"] {
            let secret = cluster.waiting(node).unwrap();
            assert!(has_record(&cluster.records(node), &secret), "{step:?}");
            assert_eq!(cluster.records(node).records.len(), 1, "{step:?}");
        }
        assert_tidy(&cluster, &step);
    }
}

#[test]
fn an_interrupted_bundle_loses_no_node() {
    let prepared = || {
        let cluster = Cluster::new();
        cluster.ok(&["node", "add", "n1"]);
        cluster
    };
    let first = prepared();
    let out = |cluster: &Cluster| cluster.site.path("out").to_str().unwrap().to_owned();
    for step in steps(&first, &["node", "bundle", "n1", "--out", &out(&first)]) {
        let cluster = prepared();
        let folder = out(&cluster);
        let args = ["node", "bundle", "n1", "--out", &folder];
        let output = strike(&cluster.slurm(), &program("slurm-pki"), &args, &step, Fault::Kill);
        assert!(!output.status.success(), "{step:?}");
        cluster.ok(&["node", "bundle", "n1", "--out", &folder, "--force"]);
        let token = cluster.site.path("node/n1_token.txt");
        let path = cluster.site.path("out/n1").join(token.strip_prefix("/").unwrap());
        let secret = pki::token::NodeSecret::from_token_file(&std::fs::read(path).unwrap()).unwrap();
        assert!(cluster.validates("n1", &secret), "{step:?}");
        assert!(cluster.waiting("n1").is_none(), "{step:?}");
        let left = std::fs::read_dir(cluster.site.path("out")).unwrap().count();
        assert_eq!(left, 2, "{step:?}: the bundle and its options");
        assert_tidy(&cluster, &step);
    }
}

/// Where a format has what is n1's own, and the bytes of the token there.
fn token_in(cluster: &Cluster, format: &str) -> Vec<u8> {
    let out = cluster.site.path("out");
    let last_line = |name: &str| {
        let text = std::fs::read_to_string(out.join(name)).unwrap();
        let base64 = text.lines().last().unwrap().rsplit(' ').next().unwrap().trim_matches('"').to_owned();
        data_encoding::BASE64.decode(base64.as_bytes()).unwrap()
    };
    match format {
        "tar" => {
            let path = cluster.site.path("node/n1_token.txt");
            let mut tar = std::process::Command::new("tar");
            tar.arg("-xOf").arg(out.join("n1.tar")).arg(path.strip_prefix("/").unwrap());
            tar.output().unwrap().stdout
        }
        "warewulf" => std::fs::read(out.join("slurm-pki.nodes/n1.token")).unwrap(),
        "cloud-init" => last_line("n1.yaml"),
        _ => last_line("host_vars/n1.yml"),
    }
}

#[test]
fn an_interrupted_bundle_of_any_format_loses_no_node() {
    let prepared = || {
        let cluster = Cluster::new();
        cluster.ok(&["node", "add", "n1"]);
        cluster
    };
    let out = |cluster: &Cluster| cluster.site.path("out").to_str().unwrap().to_owned();
    for format in ["tar", "warewulf", "cloud-init", "ansible"] {
        let first = prepared();
        let args = ["node", "bundle", "n1", "--format", format, "--out"];
        for step in steps(&first, &[&args[..], &[&out(&first)]].concat()) {
            let cluster = prepared();
            let folder = out(&cluster);
            let args = [&args[..], &[&folder]].concat();
            let output = strike(&cluster.slurm(), &program("slurm-pki"), &args, &step, Fault::Kill);
            assert!(!output.status.success(), "{format}: {step:?}");
            cluster.ok(&[&args[..], &["--force"]].concat());
            let secret = pki::token::NodeSecret::from_token_file(&token_in(&cluster, format)).unwrap();
            assert!(cluster.validates("n1", &secret), "{format}: {step:?}");
            assert!(cluster.waiting("n1").is_none(), "{format}: {step:?}");
            for (path, _) in support::site::files_below(&cluster.site.path("out")) {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                assert!(!name.starts_with('.'), "{format}: {step:?}: {name}");
            }
            assert_tidy(&cluster, &step);
        }
    }
}

#[test]
fn an_interrupted_token_leaves_the_old_secret_in_its_rights() {
    let prepared = || {
        let cluster = Cluster::new();
        cluster.ok(&["node", "add", "n1"]);
        let secret = cluster.waiting("n1").unwrap();
        cluster.ok(&["node", "bundle", "n1", "--out", cluster.site.path("out").to_str().unwrap()]);
        (cluster, secret)
    };
    let args = ["node", "token", "n1"];
    for step in steps(&prepared().0, &args) {
        let (cluster, old) = prepared();
        let output = strike(&cluster.slurm(), &program("slurm-pki"), &args, &step, Fault::Kill);
        assert!(!output.status.success(), "{step:?}");
        assert!(cluster.validates("n1", &old), "{step:?}");
        cluster.ok(&args);
        let new = cluster.waiting("n1").unwrap();
        assert!(cluster.validates("n1", &old) && cluster.validates("n1", &new), "{step:?}");
        assert_tidy(&cluster, &step);
    }
}
