//! The probe: Slurm's own library, called where a daemon or a client command would call it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pki::key::PrivateKey;
use pki::loads_in_s2n;
use pki::x509::X509;

use crate::install::Install;
use crate::lab::{Lab, User};
use crate::shell;

const SOURCE: &str = include_str!("probe.c");

/// See there; both lie beside the probe.
const READER: &str = include_str!("reader.c");
const MTLS: &str = include_str!("mtls.c");

/// Compiles it against the library of this Slurm, beside the suite.
pub(crate) fn compile(install: &Install) -> Result<PathBuf> {
    let suite = std::env::current_exe()?;
    let folder = suite.ancestors().nth(2).context("the suite lies in a target folder")?.join("slurm-suite");
    fs::create_dir_all(&folder)?;
    let (source, probe) = (folder.join("probe.c"), folder.join("probe"));
    fs::write(&source, SOURCE)?;
    compile_with_library(install, &source, &probe)?;
    let source = folder.join("reader.c");
    fs::write(&source, READER)?;
    compile_with_library(install, &source, &folder.join("reader"))?;
    let source = folder.join("mtls.c");
    fs::write(&source, MTLS)?;
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"]).arg(folder.join("mtls.so")).arg(source);
    shell::answer(cc.arg("-ldl"))?;
    Ok(probe)
}

/// A program that links Slurm's library, and takes symbols of it over.
pub(crate) fn compile_with_library(install: &Install, source: &Path, program: &Path) -> Result<()> {
    let library = install.lower.join(install.plugins.strip_prefix("/").unwrap_or(&install.plugins));
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-rdynamic", "-pthread", "-o"]).arg(program).arg(source);
    // What the library itself links is found when it runs, not here: it may come from a younger system.
    cc.arg("-L").arg(library).args(["-lslurmfull", "-Wl,--allow-shlib-undefined"]);
    let mut path = OsString::from("-Wl,-rpath,");
    path.push(&install.plugins);
    shell::answer(cc.arg(path)).map(drop).context("the probe does not compile against this Slurm")
}

/// What to do, as whom, with which config.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe<'a> {
    lab: &'a Lab,
    user: User,
    conf: &'static str,
    environment: &'a [(&'static str, &'static str)],
}

impl<'a> Probe<'a> {
    /// As slurmd: root, with the cluster's config.
    pub(crate) fn slurmd(lab: &'a Lab) -> Self {
        Self { lab, user: User::Root, conf: "/etc/slurm/slurm.conf", environment: &[] }
    }

    /// As a slurmd whose scripts say whatever [`crate::requests`] put there.
    pub(crate) fn stray(lab: &'a Lab) -> Self {
        Self { conf: "/etc/stray/slurm.conf", ..Self::slurmd(lab) }
    }

    /// As sackd on a login host: SlurmUser, with the folder that systemd would give it.
    pub(crate) fn sackd(lab: &'a Lab) -> Self {
        let environment = &[("PROBE_IS_SACKD", "1"), ("RUNTIME_DIRECTORY", "/run/sackd")];
        Self { user: User::Slurm, environment, ..Self::slurmd(lab) }
    }

    /// As somebody's squeue.
    pub(crate) fn client(lab: &'a Lab) -> Self {
        Self { user: User::Ordinary, ..Self::slurmd(lab) }
    }

    /// Runs it to its end.
    pub(crate) fn run(self, arguments: &[&str]) -> Result<Outcome> {
        self.start(arguments)?.wait()
    }

    /// Starts it.
    pub(crate) fn start(self, arguments: &[&str]) -> Result<Running> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let inner = format!("/tmp/probe{number}");
        let folder = self.lab.path(&inner);
        fs::create_dir(&folder)?;
        let (uid, gid) = self.lab.ids(self.user);
        chown(&folder, Some(uid), Some(gid))?;
        let log = self.lab.path(&format!("/var/log/slurm/probe{number}.log"));
        let mut command = self.lab.command("/slurm-pki/probe", self.user);
        command.args(arguments).arg(&inner).env("SLURM_CONF", self.conf);
        // Where auth/slurm finds the cluster's key when the config lies elsewhere.
        command.env("SLURM_SACK_KEY", "/etc/slurm/slurm.key");
        command.envs(self.environment.iter().copied());
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?).spawn()?;
        Ok(Running { child, folder, log })
    }
}

/// A probe at work.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
    log: PathBuf,
}

impl Running {
    /// Its end, which has to come within the limit.
    pub(crate) fn wait_at_most(mut self, limit: Duration) -> Result<Outcome> {
        let waited = shell::wait_until("the probe ends", limit, || Ok(self.child.try_wait()?.is_some()));
        if waited.is_err() {
            let _ = self.child.kill();
        }
        waited.with_context(|| fs::read_to_string(&self.log).unwrap_or_default())?;
        self.wait()
    }

    /// Its end.
    pub(crate) fn wait(mut self) -> Result<Outcome> {
        let status = self.child.wait()?;
        let text = |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let kept = |name: &str| text(&self.folder.join(name)).ok();
        Ok(Outcome {
            succeeded: status.success(),
            log: text(&self.log)?,
            cert: kept("cert.pem"),
            key: kept("key.pem"),
        })
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    succeeded: bool,
    /// What Slurm logged in this process.
    pub(crate) log: String,
    /// What Slurm would have loaded.
    pub(crate) cert: Option<String>,
    key: Option<String>,
}

impl Outcome {
    /// The pair that Slurm got: it loads in s2n, and key and certificate belong together.
    pub(crate) fn pair(&self) -> Result<Pair> {
        let (Some(cert), Some(key), true) = (&self.cert, &self.key, self.succeeded) else {
            bail!("Slurm got no certificate:\n{}", self.log);
        };
        let chain = loads_in_s2n::own_pair(cert.as_bytes(), key.as_bytes()).map_err(anyhow::Error::msg)?;
        Ok(Pair { cert: cert.clone(), key: key.clone(), chain })
    }

    /// Nothing came of it, as it had to be.
    pub(crate) fn expect_refused(&self) -> Result<()> {
        ensure!(!self.succeeded, "it succeeded:\n{}", self.log);
        ensure!(self.cert.is_none(), "a certificate came all the same:\n{}", self.log);
        Ok(())
    }
}

/// A certificate with its key.
#[derive(Debug)]
pub(crate) struct Pair {
    /// PEM, the leaf first.
    pub(crate) cert: String,
    /// PEM.
    pub(crate) key: String,
    chain: Vec<X509>,
}

impl Pair {
    /// The leaf.
    pub(crate) fn leaf(&self) -> Result<&X509> {
        self.chain.first().context("a chain has a leaf")
    }

    /// The hash of its public key, as the ledger has it.
    pub(crate) fn fingerprint(&self) -> Result<String> {
        let key = PrivateKey::from_pem(self.key.as_bytes()).map_err(anyhow::Error::msg)?;
        Ok(key.public().map_err(anyhow::Error::msg)?.fingerprint())
    }

    /// Issued to this name: as CN and as the only DNS name.
    pub(crate) fn expect_name(&self, name: &str) -> Result<()> {
        let facts = self.leaf()?.facts();
        ensure!(
            facts.common_names == [name.as_bytes().to_vec()],
            "issued to {}, not to {name}",
            facts.subject
        );
        ensure!(facts.dns.as_deref() == Some(&[name.to_owned()]), "DNS names {:?}", facts.dns);
        Ok(())
    }
}
