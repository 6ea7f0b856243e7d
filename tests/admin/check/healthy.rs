//! A controller where all is well, from slurm.conf to /proc, in folders of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use pki::ca::{CaCertificates, LocalCa};
use pki::key::{KeyKind, PrivateKey};
use pki::policy::Plan;
use pki::profile::Serial;
use pki::time::UnixTime;
use serde_json::Value;

use crate::programs::Programs;
use crate::scratch::{Scratch, text};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The site, the programs, and below `host` what stands for the host's own files.
pub(crate) struct Healthy {
    pub(crate) site: Scratch,
    pub(crate) programs: Programs,
}

impl Healthy {
    pub(crate) fn new() -> Self {
        let healthy = Self { site: Scratch::ready(), programs: Programs::new() };
        for folder in [
            "host/proc/1",
            "host/proc/7",
            "host/run/systemd/timesync",
            "host/etc/ssl/certs",
            "plugins",
            "bin",
        ] {
            healthy.folder(folder);
        }
        healthy.slurm_conf(&[]);
        for plugin in ["tls_s2n.so", "certgen_script.so", "certmgr_script.so"] {
            healthy.site.write(&format!("plugins/{plugin}"), "", 0o755);
        }
        healthy.site.write("host/proc/mounts", "proc /proc proc rw,hidepid=invisible 0 0\n", 0o644);
        healthy.site.write("host/proc/1/comm", "systemd\n", 0o644);
        healthy.site.write("host/proc/7/comm", "systemd-timesyn\n", 0o644);
        healthy.site.write("host/run/systemd/timesync/synchronized", "", 0o644);
        healthy.site.write("host/etc/ssl/certs/ca-certificates.crt", &other_ca(), 0o644);
        healthy.unit("slurmctld", "Restart=on-failure\n");
        healthy.scontrol_says_what_slurm_conf_says();
        healthy
    }

    /// A site with a second controller, h2, which `bin/reach` reaches: with a host's name and a line of shell.
    pub(crate) fn two_controllers() -> Self {
        let well = Self::new();
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

    /// What stands for ssh notes its process in the file `pid`, and never ends.
    pub(crate) fn reach_hangs(&self) {
        let pid = self.site.text_path("pid");
        self.site.write("bin/reach", &format!("#!/bin/sh\necho $$ >{pid}\nexec sleep 600\n"), 0o755);
    }

    /// Whether the process that noted itself in the file `pid` is gone.
    pub(crate) fn is_gone(&self) -> bool {
        let pid = self.site.read("pid");
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    }

    pub(crate) fn folder(&self, relative: &str) {
        fs::create_dir_all(self.site.path(relative)).unwrap();
    }

    /// The lines of `conf show`, and more; each of `changes` puts a text in place of another.
    pub(crate) fn slurm_conf(&self, changes: &[(&str, &str)]) {
        let mut conf = self.lines();
        for (from, to) in changes {
            assert!(conf.contains(from), "{from} in {conf}");
            conf = conf.replace(from, to);
        }
        self.site.slurm_conf(&conf);
    }

    fn lines(&self) -> String {
        let programs = self.programs.path().to_str().unwrap();
        let shown = self.site.json(&["conf", "show", "--programs", programs], "slurm-pki.conf.show.v1");
        let lines = shown["slurm_conf"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        let lines = lines.collect::<Vec<_>>().join("\n");
        let plugins = self.site.text_path("plugins");
        // Nobody listens at port 1, whatever runs on this host.
        let spool = self.site.text_path("spool");
        format!(
            "SlurmdSpoolDir={spool}\nSlurmctldHost=h1(10.0.0.1)\nSlurmctldPort=1\nPluginDir={plugins}\n{lines}\n"
        )
    }

    /// An enabled unit.
    pub(crate) fn unit(&self, name: &str, service: &str) {
        self.folder("host/etc/systemd/system/multi-user.target.wants");
        let config = self.site.text_path("slurm-pki.toml");
        let text = format!("[Service]\nEnvironment=SLURM_PKI_CONF={config}\n{service}");
        self.site.write(&format!("host/etc/systemd/system/{name}.service"), &text, 0o644);
        let wants = format!("host/etc/systemd/system/multi-user.target.wants/{name}.service");
        self.site.write(&wants, "", 0o644);
    }

    /// sackd, with the token that it asks with.
    pub(crate) fn sackd(&self) {
        self.unit("sackd", &format!("Restart=on-failure\nUser={}\n", self.site.slurm_user.0));
        let token = self.token_of_this_host();
        chown(token, Some(self.site.slurm_user.1), None).unwrap();
    }

    /// The token that slurmd or sackd of this host asks with.
    pub(crate) fn token_of_this_host(&self) -> PathBuf {
        let host = text(rustix::system::uname().nodename().to_bytes());
        let secret = pki::token::NodeSecret::new(support::site::random());
        self.site.write(&format!("{host}_token.txt"), &text(secret.to_token_file().expose()), 0o400);
        let token = self.site.text_path("%n_token.txt");
        let config = self.site.read("slurm-pki.toml");
        self.site.write("slurm-pki.toml", &format!("{config}\n[node]\ntoken_file = \"{token}\"\n"), 0o644);
        self.site.path(&format!("{host}_token.txt"))
    }

    /// A scontrol that prints slurm.conf as the real one prints what slurmctld runs with.
    pub(crate) fn scontrol_says_what_slurm_conf_says(&self) {
        let lines = self.lines();
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        let shown = pairs.map(|(key, value)| format!("{key:<23} = {value}\n")).collect::<String>();
        self.scontrol(&(shown + "DebugFlags              = (null)\n"), 0);
    }

    pub(crate) fn scontrol(&self, prints: &str, exit: u8) {
        self.site.write("running", prints, 0o644);
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = 'show config' ] || exit 9\ncat {}\nexit {exit}\n",
            self.site.text_path("running")
        );
        self.site.write("bin/scontrol", &script, 0o755);
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.site.command(&self.programs.path().join("slurm-pki"));
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.site.text_path("bin")));
        command.args(["check", "--host-root", &self.site.text_path("host")]).args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Everything but the rehearsal, which costs a second in a debug build.
    #[track_caller]
    pub(crate) fn look(&self, args: &[&str]) -> Look {
        let output = self.run(&[&["--no-rehearsal", "--json"], args].concat());
        Look::of(&output)
    }

    /// Nothing but this is wrong, and it is this bad.
    #[track_caller]
    pub(crate) fn finds(&self, code: &str, severity: &str) -> Look {
        let look = self.look(&[]);
        let found: Vec<(&str, &str)> =
            look.bad().iter().map(|(code, severity, _)| (*code, *severity)).collect();
        assert!(!found.is_empty(), "nothing found for {code}");
        assert!(
            found.iter().all(|is| *is == (code, severity)),
            "wanted {code} {severity}, found {:?}",
            look.bad()
        );
        assert_eq!(
            look.exit,
            if severity == "critical" {
                2
            } else if severity == "warning" {
                1
            } else {
                3
            }
        );
        look
    }

    /// Among others, this is wrong.
    #[track_caller]
    pub(crate) fn finds_among_others(&self, code: &str, severity: &str) -> Look {
        let look = self.look(&[]);
        let is = look.bad().iter().any(|(is, bad, _)| *is == code && *bad == severity);
        assert!(is, "wanted {code} {severity}, found {:?}", look.bad());
        look
    }

    #[track_caller]
    pub(crate) fn is_well(&self) {
        let look = self.look(&[]);
        assert!(look.bad().is_empty() && look.exit == 0, "{:?}", look.bad());
    }

    /// The same command as a user who may not look everywhere; root alone can become another.
    pub(crate) fn as_nobody(&self, args: &[&str]) -> Option<Look> {
        let mut command = self.command(&[&["--json"], args].concat());
        let nobody = std::os::unix::process::CommandExt::uid(&mut command, 12_345);
        (crate::scratch::caller() == 0).then(|| Look::of(&nobody.output().unwrap()))
    }

    pub(crate) fn mode(&self, relative: &str, mode: u32) {
        fs::set_permissions(self.site.path(relative), fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// What was said as JSON.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) data: Value,
    pub(crate) exit: i32,
}

impl Look {
    #[track_caller]
    pub(crate) fn of(output: &Output) -> Self {
        let said = text(&output.stdout);
        let document: Value =
            serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}{}", text(&output.stderr)));
        assert_eq!(document["schema"], "slurm-pki.check.v1");
        Self { data: document["data"].clone(), exit: output.status.code().unwrap() }
    }

    /// Code, severity and words of everything that is not well. Each has a fix of one line.
    #[track_caller]
    pub(crate) fn bad(&self) -> Vec<(&str, &str, &str)> {
        let all = self.data["findings"].as_array().unwrap().iter();
        let bad = all.filter(|finding| finding["severity"] != "ok");
        bad.map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_else(|| panic!("{key}: {finding}"));
            assert!(!text("fix").is_empty() && !text("fix").contains('\n'), "{finding}");
            // Something to type: what check knows stands in it.
            let words =
                |fix: &str| fix.split([' ', ',', ';', ')']).any(|word| ["NODE", "HOST:PORT"].contains(&word));
            assert!(!words(text("fix")) && !text("fix").contains("chown SlurmUser"), "{finding}");
            (text("code"), text("severity"), text("what"))
        })
        .collect()
    }

    pub(crate) fn has(&self, code: &str) -> bool {
        self.data["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == code)
    }

    /// What it did not look at, as one text.
    pub(crate) fn unseen(&self) -> String {
        self.data["not_looked_at"].to_string()
    }
}

/// A CA that is not this site's.
pub(crate) fn other_ca() -> String {
    let now = support::site::now();
    support::site::new_ca("Somebody Else's Root", now.minus(DAY), now.plus(3650 * DAY)).0
}

/// A CA that is older than any certificate of a test, and lives longer.
pub(crate) struct OldCa {
    pub(crate) pem: String,
    key: Vec<u8>,
}

impl OldCa {
    pub(crate) fn new() -> Self {
        let now = support::site::now();
        let (pem, key) = support::site::new_ca("Old Root", now.minus(200 * DAY), now.plus(900 * DAY));
        Self { pem, key }
    }

    /// A certificate that peers accept, begun at any time.
    pub(crate) fn issue(&self, name: &str, begins: UnixTime, life: Duration) -> (String, PrivateKey) {
        let certificates = CaCertificates::from_pem(self.pem.as_bytes(), None).unwrap();
        let ca = LocalCa::new(certificates, PrivateKey::from_pem(&self.key).unwrap()).unwrap();
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let public = key.public().unwrap();
        let plan = Plan::for_daemon(name, vec![name.into()], public, &[], life, Duration::ZERO, begins);
        let certificate = ca.issue(&plan, Serial::new(support::site::random()), begins).unwrap();
        (certificate.to_pem().to_owned(), key)
    }
}
