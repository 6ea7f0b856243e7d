//! What has to be ready before TLS is turned on: Slurm's plugins here, programs, tokens and the CA on every host.

use std::fs;
use std::process::Command;

use support::programs::{SEVEN, copy_for_everybody, program};

use crate::apart::apart;
use crate::scratch::Scratch;
use crate::site::{files, slurm_pki, with_command, with_text};

const ENABLE: [&str; 3] = ["conf", "enable", "--yes"];
const DISABLE: [&str; 3] = ["conf", "disable", "--yes"];

/// Hosts that a tool reaches by running everything here, but n9, which is dead.
fn site() -> Scratch {
    let site = with_text(
        "ClusterName=c1\nSlurmctldHost=ctl1\nNodeName=n[1-2] CPUs=1\nNodeName=cloud1 State=CLOUD\nPluginDir=PLUGINS\n",
    );
    fs::create_dir(site.path("plugins")).unwrap();
    for name in ["tls_s2n.so", "certmgr_script.so", "certgen_script.so"] {
        site.write(&format!("plugins/{name}"), "", 0o644);
    }
    let text = site.read("slurm.conf").replace("PLUGINS", &site.text_path("plugins"));
    site.write("slurm.conf", &text, 0o644);
    fs::remove_file(site.path("slurmdbd.conf")).unwrap();
    site.write("reach", "#!/bin/sh\ncase $1 in n9|cloud1) exit 255;; esac\nexec sh -c \"$2\"\n", 0o755);
    let config = format!(
        "{}\n[node]\ntoken_file = \"{}\"\n[fleet]\nrun = [\"{}\", \"{{host}}\", \"{{command}}\"]\ndbd = \"db1\"\n",
        site.read("slurm-pki.toml"),
        site.text_path("%n_token.txt"),
        site.text_path("reach"),
    );
    site.write("slurm-pki.toml", &config, 0o644);
    for node in ["n1", "n2"] {
        site.write(&format!("{node}_token.txt"), "0123456789012345678901234567890123456789012", 0o400);
    }
    site
}

#[track_caller]
fn refused(site: &Scratch, wanted: &str) {
    let before = files(site);
    let said = site.refused(&ENABLE);
    assert!(said.contains(wanted), "{said}");
    assert_eq!(files(site), before);
}

#[test]
fn with_everything_ready_it_goes_on_and_says_whom_it_did_not_ask() {
    apart!({
        let site = site();
        let (_, said) = site.done(&ENABLE);
        assert!(said.contains("not checked: cloud1 (nodes that come and go)"), "{said}");
        assert!(site.read("slurm.conf").contains("TLSType=tls/s2n"));
    });
}

#[test]
fn without_the_plugin_it_names_it_and_where_it_looked() {
    apart!({
        for name in ["tls_s2n.so", "certmgr_script.so", "certgen_script.so"] {
            let site = site();
            fs::remove_file(site.path("plugins").join(name)).unwrap();
            refused(&site, &format!("has no {name}: looked in {}", site.text_path("plugins")));
        }
        let site = site();
        fs::remove_file(site.path("plugins/certmgr_script.so")).unwrap();
        site.done(&[&ENABLE[..], &["--static"]].concat());
    });
}

/// Hosts see this one's files, but these in the place of others.
fn where_others_see(site: &Scratch, host: &str, here: &str, there: &str) {
    let (here, there) = (site.text_path(here), site.text_path(there));
    let reach = format!(
        "#!/bin/sh\n[ $1 = {host} ] || exec sh -c \"$2\"\n\
         exec sh -c \"$(echo \"$2\" | sed 's,sh$,sed s:{here}:{there}:g | sh,')\"\n"
    );
    site.write("reach", &reach, 0o755);
}

#[test]
fn a_host_whose_slurm_has_no_tls_is_named_with_where_it_was_looked_for() {
    apart!({
        let site = site();
        let two = format!("{}:{}", site.text_path("plugins"), site.text_path("nowhere"));
        let text = site.read("slurm.conf").replace(&site.text_path("plugins"), &two);
        site.write("slurm.conf", &text, 0o644);
        fs::create_dir(site.path("others")).unwrap();
        site.write("others/select_linear.so", "", 0o644);
        where_others_see(&site, "n2", "plugins", "others");
        let lacks = format!(
            "warning: n2: its Slurm has no tls_s2n.so: looked in {}; PluginDir in slurm.conf names another folder\n",
            site.text_path("others")
        );
        refused(&site, &lacks);
        // One of several is enough.
        fs::create_dir(site.path("nowhere")).unwrap();
        site.write("nowhere/tls_s2n.so", "", 0o644);
        let (_, said) = site.done(&ENABLE);
        assert!(!said.contains("tls_s2n.so"), "{said}");
    });
}

#[test]
fn a_host_with_its_plugins_nobody_knows_where_is_not_held_against_it_and_said() {
    apart!({
        let site = site();
        where_others_see(&site, "n2", "plugins", "elsewhere");
        let (_, said) = site.done(&ENABLE);
        assert!(
            said.contains("warning: not checked: tls_s2n.so on n2 (no folder of plugins is there"),
            "{said}"
        );
        assert!(site.read("slurm.conf").contains("TLSType=tls/s2n"));
    });
}

#[test]
fn slurmctld_says_where_its_plugins_are_and_one_that_is_down_is_not_waited_for() {
    apart!({
        let site = site();
        let named = format!("PluginDir={}\n", site.text_path("plugins"));
        site.write("slurm.conf", &site.read("slurm.conf").replace(&named, ""), 0o644);
        let (asked, plugins) = (site.text_path("asked"), site.text_path("plugins"));
        let path = with_command(&site, "scontrol", &format!("touch {asked}; echo 'PluginDir = {plugins}'"));
        let run =
            |more: &[&str]| slurm_pki(&site).env("PATH", &path).args(ENABLE).args(more).output().unwrap();
        let output = run(&["--prepare"]);
        assert!(output.status.success(), "{}", crate::scratch::text(&output.stderr));
        fs::remove_file(&asked).unwrap();
        run(&[]);
        assert!(!site.path("asked").exists());
    });
}

#[test]
fn a_node_without_its_token_is_named() {
    apart!({
        let site = site();
        fs::remove_file(site.path("n2_token.txt")).unwrap();
        refused(&site, "warning: n2: no token for n2");
    });
}

#[test]
fn sackd_needs_a_token_that_its_own_user_reads() {
    apart!({
        let site = site();
        let host = crate::scratch::text(&Command::new("uname").arg("-n").output().unwrap().stdout);
        let token = format!("{}_token.txt", host.trim());
        let config = site.read("slurm-pki.toml");
        site.write(
            "slurm-pki.toml",
            &config.replace("dbd = \"db1\"", "dbd = \"db1\"\nsackd = \"login1\""),
            0o644,
        );
        site.write(&token, "0123456789012345678901234567890123456789012", 0o400);
        std::os::unix::fs::chown(site.path(&token), Some(site.slurm_user.1), None).unwrap();
        let text = format!("SlurmUser={}\n{}", site.slurm_user.0, site.read("slurm.conf"));
        site.write("slurm.conf", &text, 0o644);
        let wanted = format!("warning: login1: no token for sackd, as {}", site.slurm_user.0);
        fs::rename(site.path(&token), site.path("away")).unwrap();
        refused(&site, &wanted);
        fs::rename(site.path("away"), site.path(&token)).unwrap();
        site.done(&[&ENABLE[..], &["--programs", &for_everybody(&site)]].concat());
    });
}

/// The programs in a folder that everybody may enter.
fn for_everybody(site: &Scratch) -> String {
    let folder = site.path("programs");
    fs::create_dir(&folder).unwrap();
    for name in SEVEN {
        let _ = copy_for_everybody(&program(name), &folder);
    }
    site.text_path("programs")
}

#[test]
fn a_node_with_a_certificate_of_its_own_needs_no_token() {
    apart!({
        let site = site();
        fs::remove_file(site.path("n2_token.txt")).unwrap();
        site.write("slurmd_cert.pem", "", 0o644);
        site.done(&ENABLE);
    });
}

#[test]
fn a_host_without_the_programs_is_named() {
    apart!({
        let site = site();
        let before = files(&site);
        let said = site.refused(&[&ENABLE[..], &["--programs", "/opt/slurm-pki"]].concat());
        assert!(said.contains("no program /opt/slurm-pki/get_node_token"), "{said}");
        assert_eq!(files(&site), before);
    });
}

/// There, and for another kind of machine.
#[test]
fn programs_that_do_not_run_are_named() {
    apart!({
        let site = site();
        let programs = for_everybody(&site);
        site.write("programs/keygen", "#!/nowhere/ld.so\n", 0o755);
        let before = files(&site);
        let said = site.refused(&[&ENABLE[..], &["--programs", &programs]].concat());
        assert!(said.contains(&format!("{programs}/keygen does not run")), "{said}");
        assert_eq!(files(&site), before);
    });
}

#[test]
fn a_dead_host_refuses_until_it_is_left_out_by_name() {
    apart!({
        let site = site();
        site.write("slurm.conf", &site.read("slurm.conf").replace("n[1-2]", "n[1-2,9]"), 0o644);
        refused(&site, "failed on 1 of 5 hosts: n9");
        site.done(&[&ENABLE[..], &["--skip", "n9"]].concat());
        assert!(site.read("slurm.conf").contains("TLSType=tls/s2n"));
    });
}

/// On n2 a slurmd is up while it is asked; n1 is asked before it or after, and is another host.
#[test]
fn a_daemon_that_is_up_on_another_host_refuses_both() {
    apart!({
        let site = site();
        site.done(&ENABLE);
        fs::create_dir(site.path("sbin")).unwrap();
        let slurmd = site.path("sbin/slurmd");
        assert!(Command::new("cp").arg("/bin/sleep").arg(&slurmd).status().unwrap().success());
        let reach = format!(
            "#!/bin/sh\n[ $1 = n2 ] || exec sh -c \"$2\"\n{0} 60 >/dev/null 2>&1 &\npid=$!\nsleep 0.2\nsh -c \"$2\"\n\
             code=$?\nkill $pid\nwait $pid\nexit $code\n",
            slurmd.display()
        );
        site.write("reach", &reach, 0o755);
        let config = site.read("slurm-pki.toml").replace("[fleet]\n", "[fleet]\nparallel = 1\n");
        site.write("slurm-pki.toml", &config, 0o644);
        let enabled = files(&site);
        let said = site.refused(&DISABLE);
        assert!(said.contains("error: Slurm's daemons are up on n2: TLS cannot be turned"), "{said}");
        assert_eq!(files(&site), enabled);
        site.done(&["conf", "disable", "--yes", "--prepare"]);
        let (_, said) = site.done(&["conf", "disable", "--yes", "--offline"]);
        assert!(said.contains("not checked (--offline): that no daemon is up"), "{said}");
        refused(&site, "warning: n2: slurmd is up");
    });
}

/// The way back must not need hosts that are gone.
#[test]
fn hosts_that_do_not_answer_are_named_and_do_not_keep_tls_on() {
    apart!({
        let site = site();
        let before = files(&site);
        site.done(&ENABLE);
        site.write("slurm-pki.toml", &site.read("slurm-pki.toml").replace("db1", "n9"), 0o644);
        let (_, said) = site.done(&DISABLE);
        assert!(said.contains("not checked: whether a Slurm daemon is up on cloud1,n9"), "{said}");
        assert_eq!(files(&site), before);
    });
}

#[test]
fn a_ca_certificate_that_s2n_would_not_load_refuses() {
    apart!({
        let site = site();
        site.write("ca_cert.pem", &(site.read("ca_cert.pem") + "trailing text\n"), 0o644);
        refused(&site, "error: ");
    });
}
