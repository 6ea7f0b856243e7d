//! A scratch site with openssl's TLS server in the place of each daemon, restarted by a command of a few lines of shell.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::programs::program;

use crate::scratch::{Scratch, text};

/// How long a daemon may take to come or to go.
const PATIENCE: Duration = Duration::from_secs(20);

/// The command of every section: `restart DAEMON`. It ends what runs and starts it anew with the files as they are, as
/// systemctl does; what stands in `<daemon>.mood` changes that.
const RESTART: &str = r#"#!/bin/sh
cd "${0%/*}" || exit 1
daemon=$1
echo "$daemon" >> restarts
mood=$(cat "$daemon.mood" 2>/dev/null)
case $mood in
hangs) sleep 1000 ;;
takes_its_time*) sleep 2 ;;
fails) echo 'Failed to restart: Unit is masked.' >&2; exit 5 ;;
kills_its_caller*) kill -KILL "$PPID"; [ "$mood" != kills_its_caller_alone ] || exit 0 ;;
esac
if [ -f "$daemon.pid" ]; then
    pid=$(cat "$daemon.pid")
    kill "$pid" 2>/dev/null
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
fi
folder=$(cat "$daemon.folder" 2>/dev/null || echo .)
cert=$folder/${daemon}_cert.pem key=$folder/${daemon}_cert_key.pem
case $mood in
slow) delay=2 ;;
dies) exit 0 ;;
*dies_with_a_new_one) cmp -s "$cert" known.pem || exit 0 ;;
serves_the_old_one) cert=known.pem key=known_key.pem ;;
serves_a_third) cert=third.pem key=third_key.pem ;;
flaps_with_a_new_one) cmp -s "$cert" known.pem || once='-naccept 1' ;;
loses_its_port) [ -f intruder.pid ] || ./intrude "$daemon" ;;
esac
{ sleep "${delay:-0}"; exec openssl s_server -accept "$(cat "$daemon.at")" -cert "$cert" -key "$key" \
    -www -quiet $once; } </dev/null >/dev/null 2>&1 &
echo $! > "$daemon.pid"
"#;

/// A site whose daemons are servers of openssl.
pub(crate) struct Scene {
    pub(crate) site: Scratch,
}

impl Scene {
    /// slurmctld alone, started with its first pair.
    pub(crate) fn new() -> Self {
        Self::with("", "")
    }

    /// The same with more in slurm.conf, and more in `[daemons.ctld]`.
    pub(crate) fn with(slurm_conf: &str, section: &str) -> Self {
        let site = Scratch::new();
        let port = free_port();
        site.write("ctld.at", &format!("127.0.0.1:{port}"), 0o644);
        site.write("restart", RESTART, 0o755);
        site.slurm_conf(&format!(
            "SlurmctldHost={}\nSlurmctldPort={port}\nTLSType=tls/s2n\n{slurm_conf}",
            host()
        ));
        site.init(&[]);
        let scene = Self { site };
        scene.section("ctld", section);
        scene.restart("ctld");
        scene
    }

    /// Adds a section for a daemon.
    pub(crate) fn section(&self, daemon: &str, more: &str) {
        let command = self.site.text_path("restart");
        let wait = if more.contains("wait") { "" } else { "wait = \"15s\"\n" };
        let config = format!(
            "{}\n[daemons.{daemon}]\ncommand = [\"{command}\", \"{daemon}\"]\n{wait}{more}\n",
            self.site.read("slurm-pki.toml")
        );
        self.site.write("slurm-pki.toml", &config, 0o644);
    }

    /// Starts a daemon, and waits until it is there.
    #[track_caller]
    pub(crate) fn restart(&self, daemon: &str) {
        assert!(Command::new(self.site.path("restart")).arg(daemon).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        while self.serves(daemon).is_none() {
            assert!(Instant::now() < deadline, "{daemon} does not start");
            sleep(Duration::from_millis(50));
        }
        fs::remove_file(self.site.path("restarts")).unwrap();
    }

    /// How the daemon takes its next restart.
    pub(crate) fn mood(&self, daemon: &str, mood: &str) {
        self.site.write(&format!("{daemon}.mood"), mood, 0o644);
    }

    /// A new pair on disk, the daemon still with the old one; the serials of both, old and new.
    #[track_caller]
    pub(crate) fn stage(&self, daemon: &str) -> (String, String) {
        let old = self.on_disk(daemon);
        self.keep_as_known(&self.site.path(""), daemon);
        self.site.done(&["cert", "issue", daemon]);
        let new = self.on_disk(daemon);
        assert_ne!(old, new);
        (old, new)
    }

    /// Keeps a pair for the moods that know the old one.
    pub(crate) fn keep_as_known(&self, folder: &Path, daemon: &str) {
        for (from, to) in [("cert", "known.pem"), ("cert_key", "known_key.pem")] {
            fs::copy(folder.join(format!("{daemon}_{from}.pem")), self.site.path(to)).unwrap();
        }
    }

    /// A pair of somebody else's, for the mood that serves it.
    pub(crate) fn make_third(&self) {
        let args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=third", "-keyout"];
        let (key, cert) = (self.site.text_path("third_key.pem"), self.site.text_path("third.pem"));
        let _ = support::openssl::read(&[&args[..], &[&key, "-out", &cert]].concat(), b"");
    }

    /// The serial of the certificate on disk.
    pub(crate) fn on_disk(&self, daemon: &str) -> String {
        serial(self.site.read(&format!("{daemon}_cert.pem")).as_bytes())
    }

    /// The serial of the certificate that a daemon serves.
    pub(crate) fn serves(&self, daemon: &str) -> Option<String> {
        let at = self.site.read(&format!("{daemon}.at"));
        let shown = support::openssl::openssl(&["s_client", "-connect", &at], b"");
        let shown = text(&shown.stdout);
        let begin = shown.find("-----BEGIN CERTIFICATE-----")?;
        Some(serial(&shown.as_bytes()[begin..]))
    }

    /// The daemons that were restarted, in their order.
    pub(crate) fn restarts(&self) -> Vec<String> {
        let list = fs::read_to_string(self.site.path("restarts")).unwrap_or_default();
        list.lines().map(str::to_owned).collect()
    }

    /// `slurm-pki cert activate`, ready to run.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.site.command(&program("slurm-pki"));
        command.args(["cert", "activate"]).args(args).env("TZ", "UTC0");
        command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.site.text_path("bin")));
        command
    }

    pub(crate) fn activate(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().unwrap())
    }

    /// How it ends when nobody reads what it says.
    pub(crate) fn unread(&self, args: &[&str]) -> Option<i32> {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let deadline = Instant::now() + 6 * PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("it does not end");
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Interrupted once the first restart has begun.
    pub(crate) fn activate_interrupted(&self) -> Said {
        self.interrupted_when(&[], || !self.restarts().is_empty())
    }

    /// Interrupted as soon as that is so.
    pub(crate) fn interrupted_when(&self, args: &[&str], is_so: impl Fn() -> bool) -> Said {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            if child.try_wait().unwrap().is_some() || Instant::now() > deadline {
                let _ = child.kill();
                panic!("it does not come to that: {:?}", Said::of(&child.wait_with_output().unwrap()));
            }
            sleep(Duration::from_millis(20));
        }
        // As Ctrl-C, which what a shell runs in the background does not hear of.
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        Said::of(&child.wait_with_output().unwrap())
    }

    /// A scontrol of one line of shell.
    pub(crate) fn scontrol(&self, script: &str) {
        fs::create_dir_all(self.site.path("bin")).unwrap();
        self.site.write("bin/scontrol", &format!("#!/bin/sh\n{script}\n"), 0o755);
    }

    /// Ends a daemon.
    pub(crate) fn stop(&self, daemon: &str) {
        let pid = self.site.read(&format!("{daemon}.pid"));
        assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        while self.serves(daemon).is_some() {
            assert!(Instant::now() < deadline, "{daemon} does not end");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.site.path("")).unwrap().flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "pid") {
                let pid = fs::read_to_string(entry.path()).unwrap();
                let _ = Command::new("kill").arg(pid.trim()).output();
            }
        }
    }
}

/// How the command ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    pub(crate) fn done(self, what: &str) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(self.stderr.contains(what) || self.stdout.contains(what), "{what}: {self:?}");
        self
    }

    /// Exit status 1, an error with this in it, and a hint.
    #[track_caller]
    pub(crate) fn failed(self, what: &str) -> Self {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.stderr.contains(what), "{what}: {self:?}");
        assert!(self.stderr.contains("slurm-pki: hint: "), "{self:?}");
        self
    }
}

/// What this host calls itself.
pub(crate) fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap().to_owned()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn serial(certificate: &[u8]) -> String {
    let line = support::openssl::read(&["x509", "-noout", "-serial"], certificate);
    line.trim().trim_start_matches("serial=").to_lowercase()
}
