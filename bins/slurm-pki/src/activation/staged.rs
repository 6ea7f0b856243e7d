//! The pair that lies where a daemon looks for it, on this host or on another, and the one before.
//!
//! From another host comes the certificate alone; no key leaves the host that it is for.

use data_encoding::BASE64;
use pki::key::MAX_KEY_PEM;
use pki::loads_in_s2n::{self, MAX_BUNDLE_PEM, MAX_CHAIN_PEM};
use pki::time::UnixTime;
use pki::x509::X509;
use site::file::{self, Keep};

use crate::admin::Admin;
use crate::cert::target::{Place, Target};
use crate::daemon_files::DaemonFiles;
use crate::fleet::{Fleet, Job, quoted};
use crate::global::Global;

/// What hosts trust.
#[derive(Debug)]
pub(crate) struct Anchors(Vec<X509>);

impl Anchors {
    /// The site's ca_cert, as a daemon would load it.
    ///
    /// # Errors
    /// When s2n would not load it.
    pub(crate) fn of(admin: &Admin) -> Result<Self, String> {
        let path = &admin.controller.ca_cert;
        let pem = file::read(path, Keep::Intact, MAX_BUNDLE_PEM).map_err(|e| e.to_string())?;
        let anchors = loads_in_s2n::trust_bundle(pem.expose());
        anchors.map(Self).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Whether peers accept what somebody serves.
    pub(crate) fn accept(&self, chain: &[X509], now: UnixTime) -> bool {
        loads_in_s2n::accepted_by_peers(chain, &self.0, now).is_ok()
    }
}

/// The certificate that a daemon is to serve, after it was found to load with its key (on this host) and to be accepted by
/// peers.
///
/// # Errors
/// When it cannot be read, or a daemon must not be restarted with it.
pub(crate) fn leaf(
    global: &Global,
    fleet: &Fleet,
    target: &Target,
    anchors: &Anchors,
    now: UnixTime,
) -> Result<X509, String> {
    let chain = chain(global, fleet, target)?;
    loads_in_s2n::accepted_by_peers(&chain, &anchors.0, now)
        .map_err(|e| format!("{}: {e}", target.config.cert.display()))?;
    chain.into_iter().next().ok_or_else(|| format!("{} is empty", target.config.cert.display()))
}

/// The certificate with its chain, leaf first, whatever peers think of it.
///
/// # Errors
/// When it cannot be read, or would not load.
pub(crate) fn chain(global: &Global, fleet: &Fleet, target: &Target) -> Result<Vec<X509>, String> {
    match &target.place {
        Place::Here => chain_here(target),
        Place::On(host) => chain_on(global, fleet, target, host),
    }
}

fn chain_here(target: &Target) -> Result<Vec<X509>, String> {
    let read = |path, limit| file::read_with_metadata(path, limit).map_err(|e| e.to_string());
    let (cert, _) = read(&target.config.cert, MAX_CHAIN_PEM)?;
    let (key, _) = read(&target.config.key, MAX_KEY_PEM)?;
    let pair = loads_in_s2n::own_pair(cert.expose(), key.expose());
    pair.map_err(|e| format!("{} with its key: {e}", target.config.cert.display()))
}

fn chain_on(global: &Global, fleet: &Fleet, target: &Target, host: &str) -> Result<Vec<X509>, String> {
    let (cert, key) = (path(&target.config.cert)?, path(&target.config.key)?);
    let script = format!("[ -s {key} ]\nsay \"$(head -c {MAX_CHAIN_PEM} {cert} | base64 -w 0)\"");
    let said = run_on(global, fleet, "certificates", host, script)?;
    let [line] = said.as_slice() else { return Err("it said something else".into()) };
    let pem = BASE64.decode(line.as_bytes()).map_err(|e| e.to_string())?;
    loads_in_s2n::own_chain(&pem).map_err(|e| format!("{}: {e}", target.config.cert.display()))
}

/// Makes the pair before this one the one that counts again.
///
/// # Errors
/// When there is none, or it cannot be put back.
pub(crate) fn put_back(global: &Global, fleet: &Fleet, target: &Target) -> Result<(), String> {
    let files = DaemonFiles::of(target.daemon, &target.config).map_err(|e| e.to_string())?;
    match &target.place {
        Place::Here => {
            let former = files.former().ok_or("there is no former pair")?;
            files.put_back(former).map_err(|e| e.to_string())
        }
        Place::On(host) => {
            let script = format!("folder={}\n{PUT_BACK}", path(files.folder())?);
            run_on(global, fleet, "former pair", host, script).map(drop)
        }
    }
}

/// The highest number below the one that counts, as [`DaemonFiles::former`] has it, made to count by one rename. Root is led
/// there through nobody else's links.
const PUT_BACK: &str = r#"
place=$folder
while [ "$place" != / ]; do
    if [ -L "$place" ]; then
        owner=$(stat -c %u "$place")
        if [ "$owner" != 0 ] && [ "$owner" != "$(id -u)" ]; then echo "$place is a link of somebody else"; exit 1; fi
    fi
    place=$(dirname "$place")
done
cd "$folder"
current=$(readlink current)
former=0
for name in *; do
    case $name in *[!0-9]*) continue ;; esac
    if [ "$name" -lt "$current" ] && [ "$name" -gt "$former" ]; then former=$name; fi
done
[ "$former" -gt 0 ] && [ -s "$former/key.pem" ] && [ -s "$former/cert.pem" ] || { echo there is no former pair; exit 1; }
ln -s "$former" ".current.$$.tmp"
mv -fT ".current.$$.tmp" current
sync .
"#;

fn run_on(
    global: &Global,
    fleet: &Fleet,
    what: &str,
    host: &str,
    script: String,
) -> Result<Vec<String>, String> {
    let outcomes = fleet.run(global, what, vec![Job { host: host.to_owned(), script }]);
    outcomes.of(host).cloned().unwrap_or_else(|| Err("it was not asked".into()))
}

fn path(path: &std::path::Path) -> Result<String, String> {
    path.to_str().map(quoted).ok_or_else(|| format!("{} is not UTF-8", path.display()))
}
