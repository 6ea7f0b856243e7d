//! The other controllers, reached by a tool of the site's.

use crate::healthy::{Healthy, Look};
use crate::scratch::text;

/// A site with a second controller. What stands for ssh runs the command here, with what the second one has for a
/// config and for its own host's files.
fn two_controllers() -> Healthy {
    let well = Healthy::new();
    let config = well.site.read("slurm-pki.toml");
    let reach = well.site.text_path("bin/reach");
    let run = format!("{config}\n[fleet]\nrun = [\"{reach}\", \"{{host}}\", \"{{command}}\"]\n");
    well.site.write("slurm-pki.toml", &run, 0o644);
    let state = well.site.text_path("");
    let second = format!("SlurmctldHost=h1(10.0.0.1)\nSlurmctldHost=h2\nStateSaveLocation={state}");
    well.slurm_conf(&[("SlurmctldHost=h1(10.0.0.1)", &second)]);
    well.scontrol("", 0);
    well
}

/// h1 is this host; the answer of h2 is this.
fn answer(well: &Healthy, script: &str) -> Look {
    let here = text(rustix::system::uname().nodename().to_bytes());
    let state = well.site.text_path("");
    let conf = format!("SlurmctldHost={here}\nSlurmctldHost=h2\nStateSaveLocation={state}");
    well.slurm_conf(&[("SlurmctldHost=h1(10.0.0.1)", &conf)]);
    let reach = format!("#!/bin/sh\n[ \"$1\" = h2 ] || exit 7\n{script}\n");
    well.site.write("bin/reach", &reach, 0o755);
    well.look(&["--fleet"])
}

#[test]
fn a_monitor_does_not_go_to_other_hosts_unless_it_is_told_to() {
    let well = two_controllers();
    let look = well.look(&[]);
    assert!(look.exit == 0 && look.unseen().contains("--fleet runs check there"), "{}", look.data);
}

#[test]
fn what_the_other_controller_says_of_itself_counts_here() {
    let well = two_controllers();
    let real = "sh -c \"$2\"";
    let look = answer(&well, real);
    // The second one's check runs for real, on the real host below it: whatever it says is told.
    let fleet =
        look.data["findings"].as_array().unwrap().iter().find(|finding| finding["group"] == "fleet").unwrap();
    assert!(fleet["what"].as_str().unwrap().starts_with("controller h2: SLURM-PKI "), "{fleet}");
    well.programs.replace("sign_csr", "exit 1");
    let look = answer(&well, real);
    let bad = look.bad();
    let found = bad.iter().find(|(code, ..)| *code == "fleet").unwrap();
    assert!(found.1 == "critical" && found.2.contains("rehearsal"), "{bad:?}");
}

#[test]
fn a_controller_that_cannot_be_reached_or_says_something_else_is_unknown() {
    let well = two_controllers();
    for script in ["echo no route >&2; exit 255", "echo hello", "true"] {
        let look = answer(&well, script);
        let bad = look.bad();
        assert!(
            bad.iter().any(|(code, severity, _)| *code == "fleet" && *severity == "unknown"),
            "{script}: {bad:?}"
        );
        assert_eq!(look.exit, 3, "{bad:?}");
    }
}
