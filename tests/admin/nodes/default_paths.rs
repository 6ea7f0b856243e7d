//! A site without a config lies on the default paths: here in a mount namespace of its own.

use std::process::Command;

use support::programs::program;

use crate::cluster::is_root;

/// $1 is a scratch folder, $2 the admin command. /etc and /var/lib are empty but for what stands here.
const SCRIPT: &str = r#"
set -eu
cp /etc/passwd /etc/group /etc/ld.so.cache "$2" "$1/"
mount -t tmpfs none /etc
cp "$1/passwd" "$1/group" "$1/ld.so.cache" /etc/
mount -t tmpfs none /var/lib
mkdir /etc/slurm
printf 'ClusterName=c1\nSlurmUser=root\n' > /etc/slurm/slurm.conf
"$1/slurm-pki" --quiet init > /dev/null
rm /etc/slurm/slurm-pki.toml
"$1/slurm-pki" --quiet node add n1
"$1/slurm-pki" --quiet node bundle n1 --out "$1/out"
cd "$1/out/n1"
find . -type f | sort
"#;

#[test]
fn a_site_without_a_config_works_on_the_default_paths_and_bundles_none() {
    let folder = tempfile::tempdir().unwrap();
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.arg("--map-root-user");
    }
    let output = unshare
        .args(["--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(folder.path())
        .arg(program("slurm-pki"))
        .env_remove("SLURM_PKI_CONF")
        .env_remove("SLURM_CONF")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = String::from_utf8(output.stdout).unwrap();
    assert_eq!(files, "./etc/slurm/ca_cert.pem\n./etc/slurm/certmgr/n1_token.txt\n");
}
