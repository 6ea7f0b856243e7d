//! `--node`: the options of slurmd and sackd.

use crate::apart::apart;
use crate::scratch::{Scratch, text};
use crate::site::{slurm_pki, with_sample};

#[track_caller]
fn run(site: &Scratch, turn: &str, more: &[&str]) -> (String, String) {
    let (slurmd, sackd) = (site.text_path("slurmd"), site.text_path("sackd"));
    let args = ["conf", turn, "--node", "--yes", "--slurmd-file", &slurmd, "--sackd-file", &sackd];
    site.done(&[&args[..], more].concat())
}

/// The tokens of systemd's EnvironmentFile, by a program of systemd's own.
const SYSTEMD: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";

/// What systemd and a shell make of a file of options: the variable, and where slurm-pki's config is.
fn read_by(site: &Scratch, name: &str, variable: &str) -> [String; 2] {
    std::fs::create_dir_all(site.path("environment.d")).unwrap();
    site.write("environment.d/it.conf", &site.read(name), 0o644);
    // For a shell a carriage return is a part of the value.
    site.write("sourced", &site.read(name).replace('\r', ""), 0o644);
    let show = format!("printf '%s|%s' \"${variable}\" \"$SLURM_PKI_CONF\"");
    let by_systemd = format!("{SYSTEMD} >read && . ./read && {show}");
    // Where a shell takes a word for a command, it goes on.
    [by_systemd, format!(". ./sourced; {show}")].map(|script| {
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", &script]).current_dir(site.path("")).env_clear();
        let output = sh.env("XDG_CONFIG_HOME", site.path("")).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    })
}

#[test]
fn options_are_merged_and_come_back_byte_by_byte() {
    apart!({
        for before in [
            "",
            "# Options\n#SLURMD_OPTIONS=\"\"\n",
            "SLURMD_OPTIONS=\"\"\nSACKD_OPTIONS=''",
            "# why\n\tSLURMD_OPTIONS=\"-N n1 --conf-server ctl1\" \nSACKD_OPTIONS=-v\nOTHER='a b'\"c\"\n",
            "SLURMD_OPTIONS='--ca-cert-file=/old -v'\r\nSACKD_OPTIONS=--ca-cert-file=x\r\n",
            "SLURMD_OPTIONS=\"-v \\\n  -D\"\nSLURM_PKI_CONF=/old\n",
        ] {
            let site = with_sample("plain.conf");
            site.write("slurmd", before, 0o640);
            site.write("sackd", before, 0o644);
            run(&site, "enable", &[]);
            for (name, variable) in [("slurmd", "SLURMD_OPTIONS"), ("sackd", "SACKD_OPTIONS")] {
                let [systemd, shell] = read_by(&site, name, variable);
                assert_eq!(systemd, shell, "{before:?}");
                let (options, config) = systemd.split_once('|').unwrap();
                let option = format!("--ca-cert-file={}", site.text_path("ca_cert.pem"));
                assert_eq!(
                    options.split_whitespace().filter(|word| *word == option).count(),
                    1,
                    "{before:?}: {options}"
                );
                assert!(!options.contains("/old"), "{options}");
                assert_eq!(config, site.text_path("slurm-pki.toml"), "{before:?}");
            }
            let (_, said) = run(&site, "enable", &[]);
            assert!(said.contains("nothing to change"), "{said}");
            site.assert_file("slurmd", 0o640, crate::scratch::caller());
            run(&site, "disable", &[]);
            assert_eq!((site.read("slurmd"), site.read("sackd")), (before.to_owned(), before.to_owned()));
        }
    });
}

#[test]
fn other_options_stay_when_they_were_added_since() {
    apart!({
        let site = with_sample("plain.conf");
        site.write("slurmd", "A=1\n", 0o644);
        site.write("sackd", "SACKD_OPTIONS=\"-v\"\n", 0o644);
        run(&site, "enable", &[]);
        for name in ["slurmd", "sackd"] {
            site.write(name, &site.read(name).replace("_OPTIONS=\"", "_OPTIONS=\"-D "), 0o644);
        }
        run(&site, "disable", &[]);
        assert_eq!(
            (site.read("slurmd").as_str(), site.read("sackd").as_str()),
            ("A=1\nSLURMD_OPTIONS=\"-D\"\n", "SACKD_OPTIONS=\"-D -v\"\n")
        );
    });
}

#[test]
fn what_a_shell_and_systemd_read_differently_is_left_alone() {
    apart!({
        let site = with_sample("plain.conf");
        for line in [
            "SLURMD_OPTIONS=\"-v\" # a comment for a shell, and no option of slurmd's",
            "export SLURMD_OPTIONS=\"-v\"",
            "SLURMD_OPTIONS = \"-v\"",
            "SLURMD_OPTIONS=-v # as above",
        ] {
            let before = format!("A=1\n{line}\n");
            site.write("slurmd", &before, 0o644);
            let [systemd, shell] = read_by(&site, "slurmd", "SLURMD_OPTIONS");
            assert_ne!(systemd, shell, "{line}");
            let slurmd = site.text_path("slurmd");
            for turn in ["enable", "disable"] {
                let said = site.refused(&["conf", turn, "--node", "--yes", "--slurmd-file", &slurmd]);
                assert!(said.contains("line 2 can be read in two ways"), "{said}");
            }
            assert_eq!(site.read("slurmd"), before);
        }
    });
}

#[test]
fn running_daemons_and_a_missing_slurm_conf_are_no_hindrance_on_a_node() {
    apart!({
        let site = with_sample("plain.conf");
        std::fs::remove_file(site.path("slurm.conf")).unwrap();
        site.write("slurmd", "", 0o644);
        site.done(&["conf", "enable", "--node", "--yes", "--slurmd-file", &site.text_path("slurmd")]);
        assert!(site.read("slurmd").contains("SLURMD_OPTIONS=\"--ca-cert-file="));
    });
}

#[test]
fn a_file_of_options_without_node_is_a_wrong_command_line() {
    apart!({
        let site = with_sample("plain.conf");
        let output = slurm_pki(&site).args(["conf", "enable", "--slurmd-file", "/x"]).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
    });
}
