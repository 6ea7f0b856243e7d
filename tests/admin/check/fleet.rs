//! The other controllers, reached by a tool of the site's.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::healthy::{Healthy, Look};
use crate::scratch::text;

/// h1 is this host; the answer of h2 is this.
fn answer(well: &Healthy, script: &str) -> Look {
    let here = text(rustix::system::uname().nodename().to_bytes());
    let state = well.site.text_path("");
    let conf = format!("SlurmctldHost={here}\nSlurmctldHost=h2\nStateSaveLocation={state}");
    well.slurm_conf(&[("SlurmctldHost=h1(10.0.0.1)", &conf)]);
    let reach = format!("#!/bin/sh\n[ \"$1\" = h2 ] || exit 7\n{script}\n");
    well.site.write("bin/reach", &reach, 0o755);
    well.look(&["--fleet", "--skip", "state-local"])
}

#[test]
fn a_monitor_does_not_go_to_other_hosts_unless_it_is_told_to() {
    let well = Healthy::two_controllers();
    let look = well.look(&["--skip", "state-local"]);
    assert!(look.exit == 0 && look.unseen().contains("--fleet runs check there"), "{}", look.data);
}

/// On h2 the command looks at what is well, as it does here. The disk under both, which one host alone has, is left out
/// here, and so it is there.
#[test]
fn two_controllers_that_are_well_are_found_so() {
    let well = Healthy::two_controllers();
    let (host, bin) = (well.site.text_path("host"), well.site.text_path("bin"));
    let own = text(well.programs.path().join("slurm-pki").as_os_str().as_encoded_bytes());
    let there = format!("PATH={bin}:$PATH exec {own}.real \"$@\" --host-root {host}");
    well.site.write("there", &format!("#!/bin/sh\n{there}\n"), 0o755);
    let instead = well.site.text_path("there");
    let look =
        answer(&well, &format!("mv {own} {own}.real\ncp {instead} {own}\nsh -c \"$2\"\nmv {own}.real {own}"));
    assert!(look.bad().is_empty() && look.exit == 0 && look.has("state-shared"), "{}", look.data);
    let findings = look.data["findings"].as_array().unwrap();
    let fleet = findings.iter().find(|finding| finding["code"] == "fleet").unwrap();
    assert_eq!(fleet["severity"], "ok");
    let said = fleet["what"].as_str().unwrap();
    assert!(said.starts_with("controller h2: SLURM-PKI OK - ") && said.contains("(controller)"), "{said}");
}

#[test]
fn the_other_controllers_judge_by_the_same_thresholds() {
    let well = Healthy::two_controllers();
    let asked = well.site.text_path("asked");
    well.site.write("there", &format!("#!/bin/sh\necho \"$@\" >{asked}\n"), 0o755);
    let own = text(well.programs.path().join("slurm-pki").as_os_str().as_encoded_bytes());
    let instead = well.site.text_path("there");
    answer(&well, &format!("mv {own} {own}.real\ncp {instead} {own}\nsh -c \"$2\"\nmv {own}.real {own}"));
    let config = well.site.text_path("slurm-pki.toml");
    assert_eq!(well.site.read("asked"), format!("check --quiet --config {config} --skip=state-local\n"));
    let thresholds = ["--warn", "60d", "--critical", "2h"];
    well.look(&[["--fleet", "--skip", "state-local,hidepid"].as_slice(), &thresholds].concat());
    let told = "--skip=state-local --skip=hidepid --warn=5184000s --critical=7200s";
    assert_eq!(well.site.read("asked"), format!("check --quiet --config {config} {told}\n"));
    // The other one's warn could be less than this.
    well.look(&["--fleet", "--skip", "state-local", "--critical", "29d"]);
    let told = "--skip=state-local --warn=2592000s --critical=2505600s";
    assert_eq!(well.site.read("asked"), format!("check --quiet --config {config} {told}\n"));
    let taken = well.look(&["--warn=5184000s", "--critical=7200s", "--skip=state-local"]);
    assert_eq!(taken.exit, 0, "{}", taken.data);
}

#[test]
fn what_the_other_controller_says_of_itself_counts_here() {
    let well = Healthy::two_controllers();
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
    let well = Healthy::two_controllers();
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

#[test]
fn only_who_presses_ctrl_c_is_told_of_an_interruption() {
    let well = Healthy::two_controllers();
    well.reach_hangs();
    let args = ["--fleet", "--no-rehearsal", "--json", "--skip", "state-local"];
    let over = well.run(&[&args[..], &["--timeout", "4s"]].concat());
    assert_eq!((Look::of(&over).bad()[0].0, text(&over.stderr).as_str()), ("time-limit", ""));
    fs::remove_file(well.site.path("pid")).unwrap();

    let mut command = well.command(&args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while fs::read_to_string(well.site.path("pid")).unwrap_or_default().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it asked nobody");
        sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let (look, said) = (Look::of(&output), text(&output.stderr));
    assert!(said.contains("interrupted: what is under way is brought to an end"), "{said}");
    let bad = look.bad();
    assert!(bad[0].0 == "fleet" && bad[0].2.contains("this command was interrupted"), "{bad:?}");
    assert!(look.exit == 3 && well.is_gone(), "{bad:?}");
}

/// slurmdbd on h3, with this key; slurmctld has one of 32 times k.
fn slurmdbd_elsewhere(key: Option<char>) -> Look {
    let well = Healthy::two_controllers();
    let config = well.site.read("slurm-pki.toml").replace("[fleet]", "[fleet]\ndbd = \"h3\"");
    well.site.write("slurm-pki.toml", &config, 0o644);
    let (ours, theirs) = (well.site.text_path("jwt.key"), well.site.text_path("dbd.key"));
    well.site.write("jwt.key", &"k".repeat(32), 0o400);
    if let Some(key) = key {
        well.site.write("dbd.key", &key.to_string().repeat(32), 0o400);
    }
    let jwt = |path: &str| format!("AuthAltTypes=auth/jwt\nAuthAltParameters=jwt_key={path}\n");
    well.site.write("slurmdbd.conf.h3", &format!("DbdHost=h3\n{}", jwt(&theirs)), 0o600);
    let here = text(rustix::system::uname().nodename().to_bytes());
    let conf = format!("SlurmctldHost={here}\n{}", jwt(&ours).trim_end());
    well.slurm_conf(&[("SlurmctldHost=h1(10.0.0.1)", &conf)]);
    // That host has a file that this one has not.
    let dbd = well.site.text_path("slurmdbd.conf");
    let reach = format!(
        "#!/bin/sh\n[ \"$1\" = h3 ] || exit 7\ncp {dbd}.h3 {dbd}\nsh -c \"$2\"\ncode=$?\nrm {dbd}\nexit $code\n"
    );
    well.site.write("bin/reach", &reach, 0o755);
    well.look(&["--fleet", "--skip", "state-local"])
}

#[test]
fn slurmdbds_key_is_compared_where_it_is_on_another_host() {
    let of = |look: &Look| {
        let all = look.data["findings"].as_array().unwrap();
        let found = all.iter().find(|finding| finding["code"] == "auth-jwt-same").unwrap();
        (found["severity"].as_str().unwrap().to_owned(), found["what"].as_str().unwrap().to_owned())
    };
    let (severity, what) = of(&slurmdbd_elsewhere(Some('k')));
    assert!(severity == "ok" && what.contains("h3"), "{severity} {what}");
    for key in [None, Some('x')] {
        let (severity, what) = of(&slurmdbd_elsewhere(key));
        assert!(severity == "critical" && what.contains("slurmdbd on h3"), "{severity} {what}");
    }
}
