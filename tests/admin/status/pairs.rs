//! Daemon pairs of any age, put where slurm-pki has its own or where others put theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use pki::ca::{CaCertificates, LocalCa};
use pki::key::{KeyKind, PrivateKey};
use pki::policy::Plan;
use pki::profile::Serial;
use pki::time::UnixTime;
use support::site::{now, random};

use crate::scratch::Scratch;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A pair's PEM texts.
pub(crate) struct Pem {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// A site whose CA has been there for 200 days, and lasts for another 165.
pub(crate) fn old_site() -> Scratch {
    let site = Scratch::ready();
    let (root, key) = support::site::new_ca("Old CA", now().minus(200 * DAY), now().plus(165 * DAY));
    overwrite(&site, "ca_cert.pem", &root);
    overwrite(&site, "state/ca/ca_key.pem", std::str::from_utf8(&key).unwrap());
    put(&site, &aged(&site, Duration::ZERO));
    site
}

/// A pair of slurmctld by the site's CA: a life of 100 days that began so long ago.
pub(crate) fn aged(site: &Scratch, age: Duration) -> Pem {
    signed_by(&site.read("ca_cert.pem"), &site.read("state/ca/ca_key.pem"), age)
}

/// A pair whose life begins only after so long.
pub(crate) fn begun_in(site: &Scratch, ahead: Duration) -> Pem {
    signed_at(&site.read("ca_cert.pem"), &site.read("state/ca/ca_key.pem"), now().plus(ahead))
}

/// The same by a CA that no host of the site trusts.
pub(crate) fn of_another_ca() -> Pem {
    let (root, key) = support::site::new_ca("Other CA", now().minus(DAY), now().plus(100 * DAY));
    signed_by(&root, std::str::from_utf8(&key).unwrap(), Duration::ZERO)
}

fn signed_by(root: &str, ca_key: &str, age: Duration) -> Pem {
    signed_at(root, ca_key, now().minus(age))
}

fn signed_at(root: &str, ca_key: &str, begins: UnixTime) -> Pem {
    named((root, ca_key), "slurmctld", "h1", begins)
}

/// A pair with any name, by a CA with this certificate and key: a life of 100 days.
pub(crate) fn named((root, ca_key): (&str, &str), common_name: &str, host: &str, begins: UnixTime) -> Pem {
    let certificates = CaCertificates::from_pem(root.as_bytes(), None).unwrap();
    let ca = LocalCa::new(certificates, PrivateKey::from_pem(ca_key.as_bytes()).unwrap()).unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let (names, public) = (vec![host.into()], key.public().unwrap());
    let plan = Plan::for_daemon(common_name, names, public, &[], 100 * DAY, Duration::ZERO, begins);
    let certificate = ca.issue(&plan, Serial::new(random()), begins).unwrap();
    let key = String::from_utf8(key.to_pem().expose().to_vec()).unwrap();
    Pem { cert: certificate.to_pem().to_owned(), key }
}

/// In place of the pair that slurm-pki made, as one that it made.
pub(crate) fn put(site: &Scratch, pem: &Pem) {
    overwrite(site, ".slurm-pki/ctld/1/cert.pem", &pem.cert);
    overwrite(site, ".slurm-pki/ctld/1/key.pem", &pem.key);
}

/// As files under Slurm's names, with nothing of ours behind them.
pub(crate) fn put_as_others_do(site: &Scratch, pem: &Pem) {
    for (name, contents, mode) in
        [("ctld_cert.pem", &pem.cert, 0o644), ("ctld_cert_key.pem", &pem.key, 0o600)]
    {
        fs::remove_file(site.path(name)).unwrap();
        site.write(name, contents, mode);
    }
}

/// Keeps mode and owner.
pub(crate) fn overwrite(site: &Scratch, relative: &str, contents: &str) {
    let path = site.path(relative);
    let mode = fs::metadata(&path).unwrap().permissions();
    // A CA key is closed to its own owner.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, contents).unwrap();
    fs::set_permissions(&path, mode).unwrap();
}
