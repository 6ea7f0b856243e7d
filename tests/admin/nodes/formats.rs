//! `node bundle --format`: what those that take bundles make of them, tar, cloud-init and Ansible themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pki::token::NodeSecret;
use support::site::files_below;

use crate::cluster::{Cluster, is_root, mode_and_owner};

/// A site with n[1-2] enrolled.
fn enrolled() -> Cluster {
    let cluster = Cluster::new();
    cluster.ok(&["node", "add", "n[1-2]"]);
    cluster
}

#[track_caller]
fn bundle(cluster: &Cluster, format: &str, more: &[&str]) -> PathBuf {
    let out = cluster.site.path("out");
    let args = ["node", "bundle", "n[1-2]", "--format", format, "--out", out.to_str().unwrap()];
    cluster.ok(&[&args[..], more].concat());
    assert_eq!(mode_and_owner(&out).0, 0o700);
    out
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a program that must succeed; its stdout.
#[track_caller]
fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|e| panic!("{:?}: {e}", command.get_program()));
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&stderr));
    said
}

/// What a node is to have, by path: contents, mode. The token's contents differ from run to run.
fn expected(cluster: &Cluster, node: &str) -> [(PathBuf, Option<Vec<u8>>, u32); 3] {
    let file = |path: PathBuf, mode| (path.clone(), Some(fs::read(path).unwrap()), mode);
    [
        file(cluster.site.path("ca_cert.pem"), 0o644),
        file(cluster.site.path("slurm-pki.toml"), 0o644),
        (cluster.site.path(&format!("node/{node}_token.txt")), None, 0o400),
    ]
}

/// A root that a bundle was brought to has all of the node's files, and no other; its token enrols the node.
#[track_caller]
fn assert_laid_out(cluster: &Cluster, root: &Path, node: &str) -> NodeSecret {
    let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap());
    let expected = expected(cluster, node);
    for (path, contents, mode) in &expected {
        let there = inside(path);
        assert_eq!(mode_and_owner(&there).0, *mode, "{}", there.display());
        if is_root() {
            assert_eq!(mode_and_owner(&there).1, 0, "{}", there.display());
        }
        if let Some(contents) = contents {
            assert!(fs::read(&there).unwrap() == *contents, "{}", there.display());
        }
    }
    assert_eq!(files_below(root).len(), expected.len(), "{:?}", files_below(root));
    let [.., (token, ..)] = expected;
    let secret = NodeSecret::from_token_file(&fs::read(inside(&token)).unwrap()).unwrap();
    assert!(cluster.validates(node, &secret) && cluster.signs(node, &secret));
    secret
}

fn scratch_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    root
}

fn unpack(archive: &Path) -> tempfile::TempDir {
    let root = scratch_root();
    run(Command::new("tar").arg("-xpf").arg(archive).arg("-C").arg(root.path()));
    root
}

#[test]
fn tar_lays_an_archive_out_with_owners_and_modes() {
    let cluster = enrolled();
    let out = bundle(&cluster, "tar", &[]);
    assert_eq!(names(&out), ["n1.tar", "n2.tar", "slurmd.options"]);
    let mut tokens = Vec::new();
    for node in ["n1", "n2"] {
        let archive = out.join(format!("{node}.tar"));
        assert_eq!(mode_and_owner(&archive).0, 0o600);
        let root = unpack(&archive);
        tokens.push(assert_laid_out(&cluster, root.path(), node).token().digest());
        assert!(cluster.waiting(node).is_none());
    }
    assert_ne!(tokens[0], tokens[1]);
    assert!(cluster.site.read("out/slurmd.options").contains("SLURMD_OPTIONS=\"--ca-cert-file="));
}

#[test]
fn an_archive_has_no_folder_in_it_so_that_the_nodes_own_stay_as_they_are() {
    let cluster = enrolled();
    let out = bundle(&cluster, "tar", &[]);
    let listed = run(Command::new("tar").arg("-tvf").arg(out.join("n1.tar")));
    assert_eq!(listed.lines().count(), 3, "{listed}");
    for line in listed.lines() {
        assert!(line.starts_with('-') && line.contains(" root/root "), "{line}");
    }
}

#[test]
fn an_archive_names_the_owner_of_a_login_hosts_token_whoever_makes_it() {
    let cluster = Cluster::with_slurm_user();
    cluster.ok(&["node", "add", "login1", "--login"]);
    let out = cluster.site.path("out");
    cluster.ok(&["node", "bundle", "login1", "--login", "--format", "tar", "--out", out.to_str().unwrap()]);
    let numbers = run(Command::new("tar").arg("--numeric-owner").arg("-tvf").arg(out.join("login1.tar")));
    let token = numbers.lines().find(|line| line.ends_with("login1_token.txt")).unwrap();
    let uid = if is_root() { crate::cluster::SOMEBODY } else { rustix::process::geteuid().as_raw() };
    assert!(token.starts_with(&format!("-r-------- {uid}/")), "{token}");
    assert_eq!(names(&out), ["login1.tar", "sackd.options"]);
}

#[test]
fn one_archive_goes_to_stdout_and_nothing_else_does() {
    let cluster = enrolled();
    let output = cluster.run(&["node", "bundle", "n1", "--format", "tar", "--out", "-"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let archive = cluster.site.path("n1.tar");
    fs::write(&archive, output.stdout).unwrap();
    assert_laid_out(&cluster, unpack(&archive).path(), "n1");
    for args in [&["n[1-2]", "--format", "tar"][..], &["n2"], &["n2", "--format", "warewulf"]] {
        cluster.fails(&[&["node", "bundle", "--out", "-"], args].concat(), "stdout");
    }
    assert!(cluster.waiting("n2").is_some());
}

#[test]
fn bundles_of_any_format_are_not_replaced_without_force() {
    for (format, place) in [
        ("dir", "n1"),
        ("tar", "n1.tar"),
        ("warewulf", "slurm-pki.nodes/n1.token"),
        ("cloud-init", "n1.yaml"),
        ("ansible", "host_vars/n1.yml"),
    ] {
        let cluster = enrolled();
        let out = bundle(&cluster, format, &[]);
        assert!(out.join(place).exists(), "{format}");
        let before = files_below(&out);
        let args = ["node", "bundle", "n1", "--format", format, "--out", out.to_str().unwrap()];
        cluster.fails(&args, "--force");
        assert_eq!(files_below(&out), before, "{format}");
        cluster.ok(&[&args[..], &["--force"]].concat());
        assert_ne!(files_below(&out), before, "{format}: a new secret");
        assert_eq!(cluster.records("n1").records.len(), 2, "{format}");
    }
}

#[test]
fn each_bundle_has_its_own_nodes_secret_alone() {
    for format in ["tar", "cloud-init", "ansible"] {
        let cluster = enrolled();
        let secrets = ["n1", "n2"].map(|node| cluster.waiting(node).unwrap().to_token_file());
        let out = bundle(&cluster, format, &[]);
        for (path, contents) in files_below(&out) {
            let has = |n: usize| {
                let bare = secrets[n].expose();
                let base64 = data_encoding::BASE64.encode(bare).into_bytes();
                [bare, &base64]
                    .iter()
                    .any(|secret| contents.windows(secret.len()).any(|part| part == *secret))
            };
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!((has(0), has(1)), (name.starts_with("n1."), name.starts_with("n2.")), "{name}");
            if has(0) || has(1) {
                assert_eq!(mode_and_owner(&path).0, 0o600, "{name}");
            }
        }
    }
}

#[test]
fn an_image_that_has_ca_and_config_gets_the_token_alone() {
    let cluster = enrolled();
    let out = bundle(&cluster, "tar", &["--own-only"]);
    assert_eq!(names(&out), ["n1.tar", "n2.tar"]);
    let listed = run(Command::new("tar").arg("-tf").arg(out.join("n1.tar")));
    assert!(listed.lines().count() == 1 && listed.trim().ends_with("n1_token.txt"), "{listed}");
}

#[test]
fn cloud_init_takes_user_data_for_valid_and_writes_the_files() {
    let cluster = enrolled();
    let out = bundle(&cluster, "cloud-init", &[]);
    assert_eq!(names(&out), ["n1.yaml", "n2.yaml", "slurmd.options"]);
    for node in ["n1", "n2"] {
        let user_data = out.join(format!("{node}.yaml"));
        let said = run(Command::new("cloud-init").args(["schema", "--config-file"]).arg(&user_data));
        assert!(said.contains("Valid"), "{said}");
        let root = scratch_root();
        run(Command::new("/usr/bin/python3").args(["-c", WRITE_FILES]).arg(&user_data).arg(root.path()));
        if is_root() {
            assert_laid_out(&cluster, root.path(), node);
        }
    }
}

/// The module of cloud-init itself, which the system's Python has, below another root; a later release wants a default owner too.
const WRITE_FILES: &str = r#"
import inspect, logging, os, sys, yaml
from cloudinit.config import cc_write_files
logging.basicConfig(level=logging.WARNING)
with open(sys.argv[1]) as user_data:
    files = yaml.safe_load(user_data)["write_files"]
for one in files:
    one["path"] = sys.argv[2] + one["path"]
    if os.geteuid() != 0:
        del one["owner"]
more = ["root:root"] if len(inspect.signature(cc_write_files.write_files).parameters) > 2 else []
cc_write_files.write_files("write_files", files, *more)
"#;

#[test]
fn user_data_that_is_too_long_for_a_cloud_is_told_of() {
    let cluster = enrolled();
    let said = |args: &[&str]| {
        let out = cluster.site.path("out");
        let fixed =
            ["node", "bundle", "n1", "--force", "--format", "cloud-init", "--out", out.to_str().unwrap()];
        let output = cluster.run(&[&fixed[..], args].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(!said(&[]).contains("16 KiB"));
    let config = cluster.site.read("slurm-pki.toml");
    let long = format!("{}{config}", "# what this site wants to say\n".repeat(500));
    cluster.site.write("slurm-pki.toml", long.as_bytes(), 0o644);
    assert!(said(&[]).contains("16 KiB"));
    assert!(!said(&["--own-only"]).contains("16 KiB"));
}

#[test]
fn whoever_can_read_a_bundle_on_its_way_is_named() {
    for (format, who) in [
        ("warewulf", "runtime overlays"),
        ("cloud-init", "metadata service"),
        ("ansible", "ansible-vault encrypt"),
    ] {
        let cluster = enrolled();
        let out = cluster.site.path("out");
        let args = ["node", "bundle", "n1", "--quiet", "--format", format, "--out", out.to_str().unwrap()];
        let said = String::from_utf8(cluster.run(&args).stderr).unwrap();
        assert!(said.contains("slurm-pki: warning: ") && said.contains(who), "{format}: {said}");
    }
}

#[test]
fn ansible_lays_files_out_from_an_inventory_beside_the_sites() {
    let cluster = enrolled();
    let out = bundle(&cluster, "ansible", &[]);
    assert_eq!(names(&out), ["host_vars", "hosts.yml", "slurmd.options"]);
    let play = cluster.site.path("play.yml");
    fs::write(&play, PLAY).unwrap();
    let (root, site) = (scratch_root(), cluster.site.path("site.ini"));
    fs::write(&site, "[compute]\nn1 ansible_connection=local\nn2 ansible_connection=local\n").unwrap();
    let said = run(Command::new("ansible-playbook")
        .args(["-i", site.to_str().unwrap(), "-i", out.to_str().unwrap()])
        .arg(&play)
        .arg("--extra-vars")
        .arg(format!("root={} uid={}", root.path().display(), rustix::process::geteuid().as_raw()))
        .env("ANSIBLE_CONFIG", "/nonexistent")
        .env("ANSIBLE_LOCALHOST_WARNING", "false")
        .env("HOME", cluster.site.path("")));
    assert!(said.contains("changed=") && !said.contains("WARNING"), "{said}");
    for node in ["n1", "n2"] {
        assert_laid_out(&cluster, &root.path().join(node), node);
    }
}

const PLAY: &str = r#"
- hosts: slurm_pki_bundles
  gather_facts: false
  tasks:
    - file:
        path: "{{ root }}/{{ inventory_hostname }}/{{ item.dest | dirname }}"
        state: directory
      loop: "{{ slurm_pki_bundle }}"
      loop_control: {label: "{{ item.dest }}"}
    - copy:
        dest: "{{ root }}/{{ inventory_hostname }}/{{ item.dest }}"
        content: "{{ item.content_b64 | b64decode }}"
        owner: "{{ item.owner if uid == '0' else uid }}"
        mode: "{{ item.mode }}"
      loop: "{{ slurm_pki_bundle }}"
      no_log: true
"#;

#[test]
fn a_later_run_adds_its_nodes_to_ansibles_inventory() {
    let cluster = enrolled();
    let out = bundle(&cluster, "ansible", &[]);
    cluster.ok(&["node", "add", "n3"]);
    cluster.ok(&["node", "bundle", "n3", "--format", "ansible", "--out", out.to_str().unwrap()]);
    let listed = run(Command::new("ansible-inventory")
        .args(["-i", out.to_str().unwrap(), "--list"])
        .env("ANSIBLE_CONFIG", "/nonexistent")
        .env("HOME", cluster.site.path("")));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["slurm_pki_bundles"]["hosts"], serde_json::json!(["n1", "n2", "n3"]));
    for node in ["n1", "n2", "n3"] {
        assert_eq!(listed["_meta"]["hostvars"][node]["slurm_pki_bundle"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn warewulf_has_one_overlay_and_each_nodes_secret_beside_it() {
    let cluster = enrolled();
    let out = bundle(&cluster, "warewulf", &[]);
    assert_eq!(names(&out), ["slurm-pki", "slurm-pki.nodes", "slurmd.options"]);
    assert_eq!(names(&out.join("slurm-pki.nodes")), ["n1.token", "n2.token"]);
    assert_eq!(mode_and_owner(&out.join("slurm-pki.nodes")).0, 0o700);
    let own = rustix::process::geteuid().as_raw();
    let rootfs = out.join("slurm-pki/rootfs");
    let inside = |path: PathBuf| rootfs.join(path.strip_prefix("/").unwrap());
    for shared in ["ca_cert.pem", "slurm-pki.toml"] {
        let there = inside(cluster.site.path(shared));
        assert_eq!(mode_and_owner(&there), (0o644, own));
        assert_eq!(fs::read(there).unwrap(), fs::read(cluster.site.path(shared)).unwrap());
    }
    let template = inside(cluster.site.path("node/slurm-pki-token.ww"));
    assert_eq!(mode_and_owner(&template), (0o400, own));
    assert_eq!(files_below(&rootfs).len(), 3);
    let text = fs::read_to_string(template).unwrap();
    let from = format!("Include (print \"{}/\" .Id \".token\")", out.join("slurm-pki.nodes").display());
    assert!(text.contains(&from) && text.contains("{{ file (print .Id \"_token.txt\") }}"), "{text}");
    for node in ["n1", "n2"] {
        let secret = fs::read(out.join(format!("slurm-pki.nodes/{node}.token"))).unwrap();
        assert!(cluster.validates(node, &NodeSecret::from_token_file(&secret).unwrap()));
    }
}

#[test]
fn a_place_that_no_template_of_warewulf_can_make_is_refused() {
    let mut cluster = enrolled();
    let place = cluster.site.path("node/%n/token");
    cluster.set("node", "token_file", place.to_str().unwrap());
    let out = cluster.site.path("out");
    let args = ["node", "bundle", "n1", "--format", "warewulf", "--out", out.to_str().unwrap()];
    cluster.fails(&args, "name of a folder");
    assert!(cluster.waiting("n1").is_some());
}

#[test]
fn a_pair_goes_into_a_bundle_of_any_format() {
    if !is_root() {
        return;
    }
    for (format, key) in
        [("tar", "n1.tar"), ("warewulf", "slurm-pki-static.nodes/n1.key"), ("cloud-init", "n1.yaml")]
    {
        let cluster = Cluster::new();
        let out = bundle(&cluster, format, &["--static"]);
        assert!(out.join(key).exists(), "{format}");
        assert_eq!(cluster.site.ledger().len(), 2, "{format}");
        if format == "tar" {
            let root = unpack(&out.join("n1.tar"));
            let inside = |name: &str| root.path().join(cluster.site.path(name).strip_prefix("/").unwrap());
            let (cert, key) = (inside("slurmd_cert.pem"), inside("slurmd_cert_key.pem"));
            assert_eq!((mode_and_owner(&cert), mode_and_owner(&key)), ((0o644, 0), (0o600, 0)));
            let (cert, key) = (fs::read(cert).unwrap(), fs::read(key).unwrap());
            pki::loads_in_s2n::own_pair(&cert, &key).unwrap();
        }
    }
}
