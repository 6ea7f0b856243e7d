//! A controller here and two nodes elsewhere. Daemons are the lists that they have loaded: a stand-in for scontrol, and for
//! each reload, copies the list that lies on a host to what its daemon has loaded, and keeps what all had loaded then.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::programs::program;
use support::slurm::Slurm;
use tempfile::TempDir;

use crate::scratch::{Scratch, text};

/// Slurm's daemons, as far as they can be asked.
const SCONTROL: &str = r#"#!/bin/sh
set -eu
cd SIM
case "$1 ${2-}" in
"ping ") echo "Slurmctld(primary) at localhost is $(cat up)" ;;
"show config") grep -q UP up || exit 1; echo "BOOT_TIME               = $(cat start/ctld)" ;;
"show jobs") cat jobs ;;
"show nodes")
    printf '{"nodes":['
    comma=
    for node in n1 n2; do
        printf '%s{"name":"%s","state":[%s],"partitions":["main"],"alloc_idle_cpus":%s,' "$comma" $node "$(cat state/$node)" "$(cat idle)"
        printf '"slurmd_start_time":{"set":true,"infinite":false,"number":%s}}' "$(cat start/$node)"
        comma=,
    done
    echo ']}'
    ;;
"reconfigure ")
    SIM/bin/reload ctld
    grep -q UP up || exit 0
    for node in n1 n2; do [ -e push/$node ] || SIM/bin/reload $node; done
    ;;
*) exit 64 ;;
esac
"#;

/// `reload WHO`: it starts anew with the list that lies there. A daemon that is `frozen` does nothing.
const RELOAD: &str = r#"#!/bin/sh
set -eu
cd SIM
[ -e frozen/$1 ] && exit 0
case $1 in ctld) file=HERE/slurm.jwks; key=HERE/slurm.key ;; *) file=THERE/$1/slurm.jwks; key=THERE/$1/slurm.key ;; esac
[ "$1" = ctld ] || [ -d THERE/$1 ] || exit 0
if [ -e $file ]; then rm -f loaded/$1.key; cp $file loaded/.$1; mv loaded/.$1 loaded/$1.jwks; else cp $key loaded/$1.key; fi
date +%s > start/.$1
mv start/.$1 start/$1
event=events/$(date +%s.%N)
mkdir $event
cp loaded/*.* $event
"#;

/// The way to another host: `run HOST COMMAND`. What belongs into the folder of slurm.conf goes into the host's own.
const RUN: &str = r#"
[ -d THERE/$1 ] || { echo "no route"; exit 255; }
map() { sed "s,'HERE','THERE/$1',g; s,HERE/slurm\.,THERE/$1/slurm.,g"; }
case $2 in
"sh "*) map $1 < "${2#sh }" > "${2#sh }.there" && said=$(sh "${2#sh }.there") || { echo "$said"; exit 1; } ;;
*" | sh") script=$(eval "${2% | sh}" | map $1) && said=$(sh -c "$script") || { echo "$said"; exit 1; } ;;
esac
echo "$said" | sed "s,THERE/$1/,HERE/,"
"#;

/// A site whose hosts have one key.
pub(crate) struct Cluster {
    pub(crate) site: Scratch,
    sim: TempDir,
}

impl Cluster {
    /// Hosts without any key.
    pub(crate) fn bare() -> Self {
        Self::with("")
    }

    /// Every daemon runs with a list of one key.
    pub(crate) fn new() -> Self {
        let cluster = Self::bare();
        cluster.done("init --everywhere");
        cluster.start();
        cluster
    }

    /// The same with more in slurm.conf.
    pub(crate) fn new_with(conf: &str) -> Self {
        let cluster = Self::with(conf);
        cluster.done("init --everywhere");
        cluster.start();
        cluster
    }

    fn with(conf: &str) -> Self {
        let (site, sim) = (Scratch::new(), tempfile::tempdir().unwrap());
        let cluster = Self { site, sim };
        let site = &cluster.site;
        site.slurm_conf(&format!(
            "SlurmctldHost=localhost(127.0.0.1)\nAuthType=auth/slurm\nAuthInfo=ttl=1\nNodeName=n[1-2]\n{conf}"
        ));
        for folder in
            ["bin", "there", "there/n1", "there/n2", "start", "state", "loaded", "frozen", "push", "events"]
        {
            fs::create_dir(cluster.sim(folder)).unwrap();
        }
        cluster.set("up", "UP\n");
        cluster.set("idle", "4\n");
        cluster.set("jobs", "{\"jobs\":[]}\n");
        for node in ["n1", "n2"] {
            cluster.set(&format!("state/{node}"), "\"IDLE\"\n");
            cluster.set(&format!("start/{node}"), "1\n");
        }
        cluster.set("start/ctld", "1\n");
        cluster.program("bin/scontrol", SCONTROL);
        cluster.program("bin/reload", RELOAD);
        cluster.program("bin/run", RUN);
        cluster.program(
            "bin/step",
            "#!/bin/sh\n[ ! -e SIM/badstep.$1 ] || { echo no step; exit 1; }\n\
             [ ! -e SIM/nostep.$1 ] || exec sleep 100\n",
        );
        cluster.config("");
        cluster
    }

    /// The config, with more in `[keys]`.
    pub(crate) fn config(&self, keys: &str) {
        let sim = self.sim.path().display();
        let config = format!(
            "state_dir = \"{}\"\n\
             [fleet]\nrun = [\"bash\", \"{sim}/bin/run\", \"{{host}}\", \"{{command}}\"]\n\
             copy = [\"sh\", \"-c\", \"cp $1 $2\", \"{{host}}\", \"{{from}}\", \"{{to}}\"]\n\
             [daemons.slurmd]\nwait = \"3s\"\n[daemons.ctld]\nwait = \"8s\"\n\
             [keys]\nreload_slurmd = [\"{sim}/bin/reload\", \"%n\"]\nstep = [\"{sim}/bin/step\", \"%h\"]\n{keys}",
            self.site.text_path("state")
        );
        self.site.write("slurm-pki.toml", &config, 0o644);
    }

    /// All daemons start with what lies on their hosts.
    pub(crate) fn start(&self) {
        for who in ["ctld", "n1", "n2"] {
            assert!(Command::new(self.sim("bin/reload")).arg(who).status().unwrap().success());
            self.set(&format!("start/{who}"), "1\n");
        }
        for event in fs::read_dir(self.sim("events")).unwrap() {
            fs::remove_dir_all(event.unwrap().path()).unwrap();
        }
    }

    /// All daemons start anew now.
    pub(crate) fn restart(&self) {
        for who in ["ctld", "n1", "n2"] {
            assert!(Command::new(self.sim("bin/reload")).arg(who).status().unwrap().success());
        }
    }

    /// Everything as it is now, to be brought back.
    pub(crate) fn save(&self) -> [TempDir; 2] {
        [self.site.path(""), self.sim("")].map(|from| {
            let folder = tempfile::tempdir().unwrap();
            copy(&from, folder.path());
            folder
        })
    }

    pub(crate) fn restore(&self, saved: &[TempDir; 2]) {
        for (to, from) in [self.site.path(""), self.sim("")].iter().zip(saved) {
            for entry in fs::read_dir(to).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
            }
            copy(from.path(), to);
        }
    }

    pub(crate) fn sim(&self, relative: &str) -> PathBuf {
        self.sim.path().join(relative)
    }

    pub(crate) fn set(&self, relative: &str, text: &str) {
        fs::write(self.sim(relative), text).unwrap();
    }

    pub(crate) fn unset(&self, relative: &str) {
        fs::remove_file(self.sim(relative)).unwrap();
    }

    fn program(&self, relative: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let sim = self.sim.path().to_str().unwrap();
        let here = self.site.text_path("x");
        let here = here.trim_end_matches("/x");
        let text = text.replace("THERE", &format!("{sim}/there")).replace("SIM", sim).replace("HERE", here);
        fs::write(self.sim(relative), text).unwrap();
        fs::set_permissions(self.sim(relative), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A host that cannot be reached, with all that lies there.
    pub(crate) fn lose(&self, host: &str) {
        fs::rename(self.sim(&format!("there/{host}")), self.sim(&format!("there/{host}.lost"))).unwrap();
    }

    pub(crate) fn find(&self, host: &str) {
        fs::rename(self.sim(&format!("there/{host}.lost")), self.sim(&format!("there/{host}"))).unwrap();
    }

    fn path(&self) -> String {
        format!("{}:{}", self.sim("bin").display(), std::env::var("PATH").unwrap())
    }

    pub(crate) fn run(&self, step: &str) -> Output {
        self.site.command(&program("slurm-pki")).args(words(step)).env("PATH", self.path()).output().unwrap()
    }

    /// The environment of [`run`](Self::run), for strace.
    pub(crate) fn as_slurm(&self) -> Slurm {
        self.site.bare().with_env("PATH", self.path())
    }

    /// A step that must succeed; what it says. No secret is in that.
    #[track_caller]
    pub(crate) fn done(&self, step: &str) -> String {
        let output = self.run(step);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "auth-key {step}: {said}");
        self.says_no_secret(&said);
        said
    }

    /// A step that must fail with exit code 1, an error and a hint.
    #[track_caller]
    pub(crate) fn refused(&self, step: &str) -> String {
        let output = self.run(step);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "auth-key {step}: {}{said}", text(&output.stdout));
        assert!(said.contains("slurm-pki: error: ") && said.contains("slurm-pki: hint: "), "{said}");
        self.says_no_secret(&said);
        said
    }

    #[track_caller]
    fn says_no_secret(&self, said: &str) {
        let Ok(list) = fs::read_to_string(self.site.path("slurm.jwks")) else { return };
        if serde_json::from_str::<Value>(&list).is_err() {
            return;
        }
        for key in keys(&list).values() {
            assert!(!said.contains(key.as_str()), "{said}");
        }
        let state = fs::read_to_string(self.site.path("state/auth-key/state.json")).unwrap_or_default();
        assert!(!keys(&list).values().any(|key| state.contains(key.as_str())), "{state}");
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let output = self.run("status --json");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["schema"], "slurm-pki.auth-key.status.v1");
        document["data"].clone()
    }

    pub(crate) fn phase(&self) -> String {
        self.status()["phase"].as_str().unwrap().to_owned()
    }

    /// The list of this host.
    pub(crate) fn here(&self) -> String {
        self.site.read("slurm.jwks")
    }

    /// What a daemon has loaded: "ctld", "n1", "n2".
    #[track_caller]
    pub(crate) fn loaded(&self, who: &str) -> String {
        fs::read_to_string(self.sim(&format!("loaded/{who}.jwks"))).unwrap()
    }

    /// Every daemon has loaded the list of this host, and it lies on every host.
    #[track_caller]
    pub(crate) fn all_have_it(&self) {
        let here = self.here();
        for who in ["ctld", "n1", "n2"] {
            assert_eq!(self.loaded(who), here, "{who}");
        }
        for host in ["n1", "n2"] {
            assert_eq!(fs::read_to_string(self.sim(&format!("there/{host}/slurm.jwks"))).unwrap(), here);
        }
    }

    /// At every instant since the start every daemon accepted what any daemon signed.
    #[track_caller]
    pub(crate) fn never_an_outage(&self) {
        let mut events: Vec<_> =
            fs::read_dir(self.sim("events")).unwrap().map(|event| event.unwrap().path()).collect();
        events.sort();
        assert!(!events.is_empty(), "nobody has loaded anything");
        events.iter().for_each(|event| understand_each_other(event));
        understand_each_other(&self.sim("loaded"));
    }
}

/// Whoever signs with its default key is understood by all (docs/slurm-contract.md 5).
#[track_caller]
fn understand_each_other(folder: &Path) {
    let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    let lists: Vec<(PathBuf, Loaded)> =
        files.into_iter().map(|path| (path.clone(), Loaded::of(&path))).collect();
    for (signer, signs) in &lists {
        for (verifier, verifies) in &lists {
            assert!(
                verifies.accepts(signs),
                "{} is not understood by {}",
                signer.display(),
                verifier.display()
            );
        }
    }
}

/// What a daemon signs and verifies with.
enum Loaded {
    Key(Vec<u8>),
    List(String),
}

impl Loaded {
    fn of(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        if path.extension().is_some_and(|ending| ending == "key") {
            Self::Key(bytes)
        } else {
            Self::List(String::from_utf8(bytes).unwrap())
        }
    }

    /// Name and bytes of what it signs with.
    fn signs(&self) -> (Option<String>, Vec<u8>) {
        match self {
            Self::Key(bytes) => (None, bytes.clone()),
            Self::List(list) => {
                let kid = default_kid(list);
                let k = keys(list)[&kid].clone();
                (Some(kid), decoded(&k))
            }
        }
    }

    fn accepts(&self, signer: &Self) -> bool {
        let (kid, bytes) = signer.signs();
        match self {
            Self::Key(own) => *own == bytes,
            Self::List(list) => {
                let kid = kid.unwrap_or_else(|| default_kid(list));
                keys(list).get(&kid).is_some_and(|k| decoded(k) == bytes)
            }
        }
    }
}

pub(crate) fn decoded(k: &str) -> Vec<u8> {
    data_encoding::BASE64URL_NOPAD.decode(k.as_bytes()).unwrap()
}

/// The keys of a list: kid and `k`.
pub(crate) fn keys(list: &str) -> BTreeMap<String, String> {
    let list: Value = serde_json::from_str(list).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    list["keys"].as_array().unwrap().iter().map(|key| (word(&key["kid"]), word(&key["k"]))).collect()
}

/// The key that signs.
pub(crate) fn default_kid(list: &str) -> String {
    let list: Value = serde_json::from_str(list).unwrap();
    let keys = list["keys"].as_array().unwrap();
    let named = keys.iter().find(|key| key["use"] == "default");
    named.unwrap_or(&keys[0])["kid"].as_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap().success());
}

/// `add --wait 1s` of `slurm-pki auth-key`.
pub(crate) fn words(step: &str) -> Vec<&str> {
    ["auth-key"].into_iter().chain(step.split(' ')).collect()
}

/// Waits until the last credential has ended: `ttl=1`, and what is added to it.
pub(crate) fn wait_for_credentials() {
    std::thread::sleep(std::time::Duration::from_millis(4100));
}
