//! Pairs on other hosts. A host is a folder that stands in this one's place while its commands run: the site's tool is a
//! script that mounts it there.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use support::openssl;
use support::site::{new_ca, now};
use tempfile::TempDir;

use crate::pairs::{DAY, Pem, aged, named};
use crate::scratch::{Scratch, caller};
use crate::site::{assert_loads, configure, due, fresh};

/// Another host, whose folder of the site's name holds what is Slurm's there.
struct Host {
    folder: TempDir,
}

const TOOL: &str = r#"#!/bin/sh
# run HOST COMMAND, or copy HOST FROM TO
set -eu
what=$1 host=$2
hosts=HOSTS
echo "$what $host" >> "$hosts/log"
[ -d "$hosts/$host" ] || { echo "no route to $host"; exit 255; }
act() {
    case $what in
    copy) cp "$3" "$hosts/$host$4" ;;
    run) [ ! -e "$hosts/$host/lies" ] || exec 3>&1 >"$hosts/$host/said"
        COMMAND=$3 unshare -m OPTIONS sh -c "
        mount --bind $hosts/$host/run /run && mount --bind $hosts/$host/site SITE && eval \"\$COMMAND\""
        [ ! -e "$hosts/$host/lies" ] || sed 's/: now .*/: now 0/' "$hosts/$host/said" >&3 ;;
    esac
}
# In "away": the call from which on the host is away, and whether that one is still done there.
if [ -e "$hosts/away" ]; then
    read -r first still_done < "$hosts/away"
    call=$(wc -l < "$hosts/log")
    [ "$call" -ne "$first" ] || [ "$still_done" = no ] || act "$@" > /dev/null
    [ "$call" -lt "$first" ] || { echo "connection to $host closed"; exit 255; }
fi
act "$@"
"#;

impl Host {
    /// Hosts of the site that its config reaches by a tool of its own.
    fn all(site: &Scratch, names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in names {
            fs::create_dir_all(folder.path().join(name).join("run")).unwrap();
            fs::create_dir_all(folder.path().join(name).join("site")).unwrap();
        }
        let options = if caller() == 0 { "" } else { "--map-current-user --keep-caps" };
        let tool = TOOL.replace("HOSTS", folder.path().to_str().unwrap());
        let tool = tool.replace("OPTIONS", options).replace("SITE", site.path("").to_str().unwrap());
        let path = folder.path().join("tool");
        fs::write(&path, tool).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let path = path.display();
        configure(
            site,
            &format!(
                "[fleet]\nrun = [\"{path}\", \"run\", \"{{host}}\", \"{{command}}\"]\n\
                 copy = [\"{path}\", \"copy\", \"{{host}}\", \"{{from}}\", \"{{to}}\"]\n"
            ),
        );
        Self { folder }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_else(|e| panic!("{relative}: {e}"))
    }

    fn write(&self, relative: &str, text: &str, mode: u32) {
        fs::write(self.path(relative), text).unwrap();
        fs::set_permissions(self.path(relative), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A pair as `scp` brings it.
    fn put(&self, host: &str, daemon: &str, pair: &Pem) {
        self.write(&format!("{host}/site/{daemon}_cert.pem"), &pair.cert, 0o644);
        self.write(&format!("{host}/site/{daemon}_cert_key.pem"), &pair.key, 0o640);
    }

    #[track_caller]
    fn assert_loads(&self, host: &str, daemon: &str) {
        let (cert, key) = (
            self.read(&format!("{host}/site/{daemon}_cert.pem")),
            self.read(&format!("{host}/site/{daemon}_cert_key.pem")),
        );
        pki::loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).unwrap();
    }
}

/// Two controllers; the other one is h2.
fn two_controllers(site: &Scratch) -> Host {
    let hosts = Host::all(site, &["h2"]);
    site.slurm_conf("SlurmctldHost=localhost\nSlurmctldHost=h2\n");
    hosts
}

#[test]
fn a_controller_that_stands_by_gets_a_pair_of_its_own_in_the_same_folders() {
    let site = fresh();
    let hosts = two_controllers(&site);
    let outcome = site.json(&["cert", "renew"], "slurm-pki.cert.renew.v1");
    assert_eq!((&outcome[0]["result"], &outcome[1]["result"]), (&"not-due".into(), &"renewed".into()));
    assert_eq!(outcome[1]["host"], "h2");
    hosts.assert_loads("h2", "ctld");
    let link = |path: &str| fs::read_link(hosts.path(path)).unwrap().display().to_string();
    assert_eq!(link("h2/site/ctld_cert.pem"), ".slurm-pki/ctld/current/cert.pem");
    assert_eq!(link("h2/site/.slurm-pki/ctld/current"), "1");
    let key = fs::metadata(hosts.path("h2/site/ctld_cert_key.pem")).unwrap();
    assert_eq!((key.mode() & 0o7777, key.uid()), (0o600, site.slurm_user.1));
    for folder in ["h2/site/.slurm-pki", "h2/site/.slurm-pki/ctld", "h2/site/.slurm-pki/ctld/1"] {
        assert_eq!(fs::metadata(hosts.path(folder)).unwrap().mode() & 0o7777, 0o755, "{folder}");
    }
    assert_ne!(hosts.read("h2/site/ctld_cert.pem"), site.read("ctld_cert.pem"));
    assert!(openssl::certificate_text(&hosts.read("h2/site/ctld_cert.pem")).contains("DNS:h2"));
    let waiting = fs::read_dir(hosts.path("h2/run")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(waiting.filter(|name| name.to_string_lossy().contains("slurm-pki")).count(), 0);
    // And no second one at the next run.
    let (said, _) = site.done(&["cert", "renew"]);
    assert!(said.contains("slurmctld on h2: not due"), "{said}");
    for _ in 0..2 {
        site.done(&["cert", "renew", "--force"]);
        hosts.assert_loads("h2", "ctld");
    }
    let kept = ["1", "2", "3"].map(|n| hosts.path("h2/site/.slurm-pki/ctld").join(n).exists());
    assert_eq!(kept, [false, true, true]);
}

#[test]
fn a_dry_run_reads_on_other_hosts_and_brings_nothing() {
    let site = fresh();
    let hosts = two_controllers(&site);
    let (said, _) = site.done(&["cert", "renew", "--dry-run"]);
    assert!(said.contains("slurmctld on h2: would be renewed"), "{said}");
    assert_eq!(hosts.read("log"), "run h2\n");
    assert_eq!(fs::read_dir(hosts.path("h2/site")).unwrap().count(), 0);
    assert_eq!(site.issued().len(), 1);
}

#[test]
fn files_that_others_made_there_are_replaced_only_by_force_and_never_torn() {
    let site = fresh();
    let hosts = two_controllers(&site);
    let old = aged(&site, 90 * DAY);
    hosts.put("h2", "ctld", &old);
    let said = site.refused(&["cert", "renew"]);
    assert!(
        said.contains("slurmctld on h2: not renewed: not made by slurm-pki") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(hosts.read("h2/site/ctld_cert.pem"), old.cert);
    site.done(&["cert", "renew", "--force"]);
    hosts.assert_loads("h2", "ctld");
    assert_ne!(hosts.read("h2/site/ctld_cert.pem"), old.cert);
    assert_eq!(hosts.read("h2/site/.slurm-pki/ctld/1/key.pem"), old.key, "to go back to");
    let key = fs::metadata(hosts.path("h2/site/ctld_cert_key.pem")).unwrap();
    assert_eq!(key.mode() & 0o7777, 0o640);
    let names = fs::read_dir(hosts.path("h2/site")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().ends_with(".old")).count(), 2);
}

#[test]
fn files_on_storage_that_both_controllers_have_are_renewed_once() {
    let site = due();
    let hosts = two_controllers(&site);
    fs::remove_dir(hosts.path("h2/site")).unwrap();
    std::os::unix::fs::symlink(site.path(""), hosts.path("h2/site")).unwrap();
    let (said, _) = site.done(&["cert", "renew"]);
    assert!(
        said.contains("slurmctld: renewed") && said.contains("slurmctld on h2: has this host's own"),
        "{said}"
    );
    assert_eq!(site.issued().len(), 2);
    assert!(!hosts.read("log").contains("copy"));
    assert_loads(&site);
}

#[test]
fn a_copy_of_this_hosts_pair_is_not_taken_for_the_same_file() {
    let site = due();
    let hosts = two_controllers(&site);
    for folder in [".slurm-pki", ".slurm-pki/ctld", ".slurm-pki/ctld/1"] {
        fs::create_dir(hosts.path("h2/site").join(folder)).unwrap();
    }
    for name in ["cert.pem", "key.pem"] {
        let relative = format!(".slurm-pki/ctld/1/{name}");
        fs::copy(site.path(&relative), hosts.path("h2/site").join(&relative)).unwrap();
    }
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, hosts.path("h2/site").join(at)).unwrap();
    link("1", ".slurm-pki/ctld/current");
    link(".slurm-pki/ctld/current/cert.pem", "ctld_cert.pem");
    link(".slurm-pki/ctld/current/key.pem", "ctld_cert_key.pem");
    let outcome = site.json(&["cert", "renew"], "slurm-pki.cert.renew.v1");
    assert_eq!((&outcome[0]["result"], &outcome[1]["result"]), (&"renewed".into(), &"renewed".into()));
    hosts.assert_loads("h2", "ctld");
    assert_ne!(hosts.read("h2/site/ctld_cert.pem"), site.read("ctld_cert.pem"));
}

#[test]
fn a_host_that_is_not_reached_fails_alone_and_can_be_left_out() {
    let site = due();
    let hosts = Host::all(&site, &["h2"]);
    site.slurm_conf("SlurmctldHost=localhost\nSlurmctldHost=h2\nSlurmctldHost=h3\n");
    let said = site.refused(&["cert", "renew"]);
    assert!(
        said.contains("slurmctld on h3: not renewed: no route to h3") && said.contains("1 of 3"),
        "{said}"
    );
    site.assert_pair("ctld_cert.pem", "ctld_cert_key.pem");
    hosts.assert_loads("h2", "ctld");
    site.done(&["cert", "renew", "--skip", "h3"]);
    assert!(site.read("state/fleet/skipped.json").contains("h3"));
    assert_eq!(site.run(&["cert", "renew", "--skip", "h4"]).status.code(), Some(1), "a misspelt host");
    for folder in ["h3/run", "h3/site"] {
        fs::create_dir_all(hosts.path(folder)).unwrap();
    }
    site.done(&["cert", "renew"]);
    hosts.assert_loads("h3", "ctld");
    assert!(!site.read("state/fleet/skipped.json").contains("h3"), "it was reached again");
}

/// Before a call it is away, or the call is done and nobody hears of it.
#[test]
fn a_host_that_goes_away_in_any_phase_has_a_whole_pair_and_the_next_run_completes() {
    let site = fresh();
    let hosts = two_controllers(&site);
    let renew = ["cert", "renew", "--force"];
    site.done(&renew);
    hosts.write("log", "", 0o644);
    site.done(&renew);
    let calls = hosts.read("log").lines().count();
    assert!(calls > 2, "{}", hosts.read("log"));
    for call in 1..=calls {
        for still_done in ["no", "yes"] {
            let before = hosts.read("h2/site/ctld_cert.pem");
            hosts.write("log", "", 0o644);
            hosts.write("away", &format!("{call} {still_done}\n"), 0o644);
            let said = site.refused(&renew);
            let named =
                said.contains("slurmctld on h2: not renewed") && said.contains("connection to h2 closed");
            assert!(named, "call {call}, done: {still_done}: {said}");
            hosts.assert_loads("h2", "ctld");
            fs::remove_file(hosts.path("away")).unwrap();
            site.done(&renew);
            hosts.assert_loads("h2", "ctld");
            openssl::verify(&hosts.read("h2/site/ctld_cert.pem"), &site.read("ca_cert.pem"), "sslserver");
            assert_ne!(hosts.read("h2/site/ctld_cert.pem"), before);
        }
    }
}

#[test]
fn a_host_where_another_certificate_lies_in_the_end_is_a_failure() {
    let site = fresh();
    let hosts = two_controllers(&site);
    hosts.write("h2/lies", "", 0o644);
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("slurmctld on h2: not renewed: the new certificate does not lie there"), "{said}");
    fs::remove_file(hosts.path("h2/lies")).unwrap();
    site.done(&["cert", "renew", "--force"]);
    hosts.assert_loads("h2", "ctld");
}

/// A database host may be called slurmdbd, as in containers; and a host goes by its node's name as well.
#[test]
fn a_dead_host_is_left_out_by_whatever_name_it_has() {
    let site = due();
    let _hosts = Host::all(&site, &[]);
    site.slurm_conf(
        "SlurmctldHost=localhost\nAccountingStorageHost=slurmdbd\nSlurmctldHost=10.0.0.7\nNodeName=n7 NodeHostname=h7\n",
    );
    configure(&site, "[daemons.slurmd]\n");
    site.done(&["cert", "renew", "--skip", "slurmdbd,10.0.0.7", "--skip", "n7"]);
    let skipped = site.read("state/fleet/skipped.json");
    for host in ["\"slurmdbd\"", "\"10.0.0.7\"", "\"h7\""] {
        assert!(skipped.contains(host), "{skipped}");
    }
}

#[test]
fn static_pairs_of_nodes_are_renewed_where_the_config_has_a_section() {
    let site = fresh();
    let hosts = Host::all(&site, &["n1", "n2"]);
    site.slurm_conf("SlurmctldHost=localhost\nNodeName=n[1-2]\n");
    for node in ["n1", "n2"] {
        hosts.put(node, "slurmd", &aged(&site, 90 * DAY));
    }
    let (said, _) = site.done(&["cert", "renew"]);
    assert!(!said.contains("slurmd"), "{said}");
    configure(&site, &format!("[daemons.slurmd]\nowner = \"{}\"\n", caller()));
    site.done(&["cert", "renew"]);
    for node in ["n1", "n2"] {
        hosts.assert_loads(node, "slurmd");
        let cert = hosts.read(&format!("{node}/site/slurmd_cert.pem"));
        assert_eq!(openssl::subject_of_certificate(&cert), format!("CN={node}"));
    }
    assert_eq!(site.issued().len(), 3);
}

/// A slurmd that finds a pair on its disk asks certmgr no more, and `node reissue` and `auth-key` are told in the same section
/// how it is restarted.
#[test]
fn nodes_that_ask_certmgr_get_no_static_pairs_from_a_section_that_only_says_how_slurmd_is_restarted() {
    let site = fresh();
    let hosts = Host::all(&site, &["n1"]);
    let slurm_conf = "SlurmctldHost=localhost\nNodeName=n1\nTLSType=tls/s2n\n";
    let there = || hosts.path("n1/site/slurmd_cert.pem").exists();
    configure(
        &site,
        "[daemons.slurmd]\ncommand = [\"rc-service\", \"slurmd\", \"restart\"]\nwait = \"9s\"\n",
    );
    for before in
        ["SlurmctldHost=localhost\nNodeName=n1\n", &format!("{slurm_conf}CertmgrType=certmgr/script\n")]
    {
        site.slurm_conf(before);
        let (said, _) = site.done(&["cert", "renew"]);
        assert!(!said.contains("slurmd") && !there(), "{said}");
        let stderr = site.refused(&["cert", "renew", "slurmd", "--force"]);
        assert!(stderr.contains("where it says more than command, wait and probe") && !there(), "{stderr}");
    }
    // Without certmgr there is no other way.
    site.slurm_conf(slurm_conf);
    let (dry, _) = site.done(&["cert", "renew", "--dry-run"]);
    assert!(dry.contains("slurmd on n1"), "{dry}");
}

#[test]
fn two_slurmds_of_another_host_keep_pairs_of_their_own() {
    let site = fresh();
    let hosts = Host::all(&site, &["h2"]);
    site.slurm_conf("SlurmctldHost=localhost\nNodeName=n[1-2] NodeHostname=h2\n");
    let (cert, key) = (site.text_path("%n_cert.pem"), site.text_path("%n_cert_key.pem"));
    let owner = caller();
    configure(&site, &format!("[daemons.slurmd]\nowner = \"{owner}\"\ncert = \"{cert}\"\nkey = \"{key}\"\n"));
    for _ in 0..2 {
        site.done(&["cert", "renew", "slurmd", "--force"]);
        for node in ["n1", "n2"] {
            hosts.assert_loads("h2", node);
            let cert = hosts.read(&format!("h2/site/{node}_cert.pem"));
            assert_eq!(openssl::subject_of_certificate(&cert), format!("CN={node}"));
        }
    }
}

#[test]
fn root_is_not_led_through_another_users_link_there() {
    let site = fresh();
    let hosts = two_controllers(&site);
    fs::create_dir(hosts.path("h2/site/elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", hosts.path("h2/site/.slurm-pki")).unwrap();
    let given = std::os::unix::fs::lchown(hosts.path("h2/site/.slurm-pki"), Some(65_534), None);
    if caller() != 0 {
        return assert!(given.is_err(), "only root can make a link that is another's");
    }
    let said = site.refused(&["cert", "renew"]);
    assert!(said.contains("is a link there that is not root's"), "{said}");
    assert_eq!(fs::read_dir(hosts.path("h2/site/elsewhere")).unwrap().count(), 0);
}

/// Root on a node answers for its host, and could show any certificate for its own.
#[test]
fn a_node_is_not_given_the_names_in_a_certificate_that_is_not_its_own() {
    let site = fresh();
    let hosts = Host::all(&site, &["n1", "n2", "n3", "n4"]);
    site.slurm_conf("SlurmctldHost=localhost\nNodeName=n[1-4]\n");
    let (root, key) = (site.read("ca_cert.pem"), site.read("state/ca/ca_key.pem"));
    let (other, other_key) = new_ca("c1 Slurm CA", now().minus(200 * DAY), now().plus(100 * DAY));
    let other = (other.as_str(), std::str::from_utf8(&other_key).unwrap());
    let (due, over) = (now().minus(90 * DAY), now().minus(110 * DAY));
    hosts.put("n1", "slurmd", &named((&root, &key), "slurmctld", "of-slurmctld", due));
    hosts.put("n2", "slurmd", &named(other, "n2", "of-anybody", due));
    hosts.put("n3", "slurmd", &named((&root, &key), "n3", "given-by-hand", due));
    hosts.put("n4", "slurmd", &named((&root, &key), "n4", "given-by-hand", over));
    configure(&site, &format!("[daemons.slurmd]\nowner = \"{}\"\n", caller()));
    site.done(&["cert", "renew"]);
    let names = |node: &str| {
        let text = openssl::certificate_text(&hosts.read(&format!("{node}/site/slurmd_cert.pem")));
        text.lines().find(|line| line.contains("DNS:")).unwrap().trim().to_owned()
    };
    let all = ["n1", "n2", "n3", "n4"].map(names);
    assert_eq!(all, ["DNS:n1", "DNS:n2", "DNS:n3, DNS:given-by-hand", "DNS:n4, DNS:given-by-hand"]);
}
