//! A cluster of one host: slurmctld is what scontrol says, slurmdbd a process.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FlockOperation, flock};
use support::programs::program;
use support::slurm::Slurm;

use crate::scratch::{Scratch, caller, text};

/// Whether a token is one of a key: HS256 by openssl (RFC 7515 appendix A.1).
const COUNTS: &str = r#"#!/bin/sh
key=$1 token=$2
hex=$(od -An -v -tx1 < "$key" | tr -d ' \n')
made=$(printf %s "${token%.*}" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -binary | base64 -w 0 | tr '+/' '-_' | tr -d =)
[ "$made" = "${token##*.}" ]
"#;

/// slurmctld, by its command. It has loaded what lay at jwt.key at its last reconfigure; `ctld.mood` changes that.
const SCONTROL: &str = r#"#!/bin/sh
cd "${0%/*}/.." || exit 1
mood=$(cat ctld.mood 2>/dev/null)
say_up() { echo "Slurmctld(primary) at HOST is $1"; }
case "$*" in
ping) if [ -e ctld.down ]; then say_up DOWN; exit 1; else say_up UP; fi ;;
reconfigure)
    echo ctld >> events
    case $mood in
    stays) exit 0 ;;
    dies) : > ctld.down; exit 0 ;;
    dies_once) : > ctld.down; rm ctld.mood; exit 0 ;;
    keeps_the_key) ;;
    *) cat jwt.key > ctld.loaded ;;
    esac
    date +%s > ctld.boot ;;
"show config")
    [ ! -e ctld.down ] || { echo 'slurm_load_ctl_conf error: Unable to contact slurm controller' >&2; exit 1; }
    if [ -n "${SLURM_JWT:-}" ]; then
        bin/counts ctld.loaded "$SLURM_JWT" || { echo 'Protocol authentication error' >&2; exit 1; }
    fi
    echo "BOOT_TIME               = $(cat ctld.boot)" ;;
*) echo "scontrol: $*?" >&2; exit 1 ;;
esac
"#;

/// `[daemons.ctld] command`: starts one that is down.
const START_CTLD: &str = r#"#!/bin/sh
cd "${0%/*}/.." || exit 1
echo start-ctld >> events
cat jwt.key > ctld.loaded
date +%s > ctld.boot
rm -f ctld.down
bin/slurmctld < /dev/null > /dev/null 2>&1 &
echo $! > ctld.pid
"#;

const SACCTMGR: &str = r#"#!/bin/sh
cd "${0%/*}/.." || exit 1
kill -0 "$(cat dbd.pid)" 2>/dev/null || { echo 'Unable to connect to database' >&2; exit 1; }
bin/counts dbd.loaded "$SLURM_JWT" || { echo 'Protocol authentication error' >&2; exit 1; }
echo c1
"#;

const SLURMDBD: &str = r#"#!/bin/sh
cd "${0%/*}/.." || exit 1
case $(cat dbd.mood 2>/dev/null) in
dies_of_a_new_key) cmp -s dbd.key dbd.known || exit 1 ;;
esac
cat dbd.key > dbd.loaded
while :; do sleep 1; done
"#;

/// `[daemons.dbd] command`.
const RESTART_DBD: &str = r#"#!/bin/sh
cd "${0%/*}/.." || exit 1
echo dbd >> events
[ "$(cat dbd.mood 2>/dev/null)" != fails ] || { echo 'Unit slurmdbd.service is masked.' >&2; exit 5; }
if [ -f dbd.pid ]; then
    pid=$(cat dbd.pid)
    kill "$pid" 2>/dev/null
    while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.02; done
fi
bin/slurmdbd < /dev/null > /dev/null 2>&1 &
echo $! > dbd.pid
"#;

/// The cluster. A process is known by its name, so one of them at a time has a slurmdbd.
pub(crate) struct Scene {
    pub(crate) site: Scratch,
    _alone: Option<File>,
}

static MADE: AtomicUsize = AtomicUsize::new(0);

impl Scene {
    /// slurmctld alone.
    pub(crate) fn new() -> Self {
        Self::with(false, "")
    }

    /// With slurmdbd.
    pub(crate) fn with_dbd() -> Self {
        Self::with(true, "")
    }

    /// With more in `[keys]`.
    pub(crate) fn with(dbd: bool, keys: &str) -> Self {
        let alone = dbd.then(|| {
            let path = std::env::temp_dir().join("slurm-pki-tests-slurmdbd.lock");
            let file = File::options().create(true).append(true).open(path).unwrap();
            flock(&file, FlockOperation::LockExclusive).unwrap();
            file
        });
        let site = Scratch::new();
        fs::create_dir(site.path("bin")).unwrap();
        let host = host();
        for (name, script) in [
            ("counts", COUNTS),
            ("scontrol", &SCONTROL.replace("HOST", &host)),
            ("start-ctld", START_CTLD),
            ("slurmctld", "#!/bin/sh\nwhile :; do sleep 1; done\n"),
            ("sacctmgr", SACCTMGR),
            ("slurmdbd", SLURMDBD),
            ("restart-dbd", RESTART_DBD),
        ] {
            site.write(&format!("bin/{name}"), script, 0o755);
        }
        let in_conf = |site: &Scratch, key: &str| {
            format!(
                "AuthAltTypes=auth/jwt
AuthAltParameters=jwt_key={}
",
                site.text_path(key)
            )
        };
        site.slurm_conf(&format!("SlurmctldHost={host}\n{}", in_conf(&site, "jwt.key")));
        let config = format!(
            "state_dir = \"{}\"\n[keys]\n{keys}\n[daemons.ctld]\nwait = \"4s\"\ncommand = [\"{}\"]\n[daemons.dbd]\nwait = \"6s\"\ncommand = [\"{}\"]\n",
            site.text_path("state"),
            site.text_path("bin/start-ctld"),
            site.text_path("bin/restart-dbd"),
        );
        site.write("slurm-pki.toml", &config, 0o644);
        let scene = Self { site, _alone: alone };
        let key = format!("key number {} of these tests, made", MADE.fetch_add(1, Ordering::Relaxed));
        scene.put_key("jwt.key", &key);
        scene.site.write("ctld.loaded", &key, 0o644);
        scene.site.write("ctld.boot", "1700000000", 0o644);
        if dbd {
            scene.site.write(
                "slurmdbd.conf",
                &format!("DbdHost=localhost\n{}", in_conf(&scene.site, "dbd.key")),
                0o600,
            );
            scene.put_key("dbd.key", &key);
            scene.site.write("dbd.known", &key, 0o644);
            assert!(Command::new(scene.site.path("bin/restart-dbd")).status().unwrap().success());
            scene.until(|| scene.loaded("dbd") == key);
            fs::remove_file(scene.site.path("events")).unwrap();
        }
        scene
    }

    /// A key as `jwt key init` leaves it.
    pub(crate) fn put_key(&self, name: &str, key: &str) {
        let path = self.site.path(name);
        let _ = fs::remove_file(&path);
        self.site.write(name, key, 0o400);
        if caller() == 0 {
            chown(&path, Some(self.site.slurm_user.1), None).unwrap();
        }
    }

    #[track_caller]
    pub(crate) fn until(&self, is: impl Fn() -> bool) {
        for _ in 0..400 {
            if is() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("it does not come about");
    }

    /// The bytes of the key on disk.
    pub(crate) fn key(&self, name: &str) -> Vec<u8> {
        fs::read(self.site.path(name)).unwrap()
    }

    /// What a daemon has loaded.
    pub(crate) fn loaded(&self, daemon: &str) -> String {
        text(&self.loaded_bytes(daemon))
    }

    pub(crate) fn loaded_bytes(&self, daemon: &str) -> Vec<u8> {
        fs::read(self.site.path(&format!("{daemon}.loaded"))).unwrap_or_default()
    }

    pub(crate) fn mood(&self, daemon: &str, mood: &str) {
        self.site.write(&format!("{daemon}.mood"), mood, 0o644);
    }

    /// Who was reloaded, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let list = fs::read_to_string(self.site.path("events")).unwrap_or_default();
        list.lines().map(str::to_owned).collect()
    }

    fn path_variable(&self) -> String {
        format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.site.text_path("bin"))
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.site.command(&program("slurm-pki"));
        command.args(["jwt", "key", "rotate"]).args(args).env("PATH", self.path_variable());
        command
    }

    pub(crate) fn rotate(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn rotated(&self, args: &[&str]) -> (String, String) {
        let output = self.rotate(args);
        let said = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}{}", said.0, said.1);
        said
    }

    #[track_caller]
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let output = self.rotate(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("slurm-pki: error: ") && said.contains("slurm-pki: hint: "), "{said}");
        said
    }

    /// The environment of [`command`](Self::command), for strace.
    pub(crate) fn bare(&self) -> Slurm {
        self.site.bare().with_env("PATH", self.path_variable())
    }

    /// What a rotation leaves in its folder.
    pub(crate) fn left_over(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.site.path("state/jwt-key")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with(".lock")).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for daemon in ["dbd", "ctld"] {
            if let Ok(pid) = fs::read_to_string(self.site.path(&format!("{daemon}.pid"))) {
                let _ = Command::new("kill").arg(pid.trim()).output();
            }
        }
    }
}

pub(crate) fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap().to_owned()
}
