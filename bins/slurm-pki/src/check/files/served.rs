//! What daemons serve: a pair that was renewed on disk changes nothing until its daemon is restarted, and the old one ends
//! in memory.

use pki::loads_in_s2n::{self, MAX_CHAIN_PEM};
use pki::x509::X509;
use site::file;

use super::super::expiry;
use super::super::finding::{Findings, Severity};
use super::super::scene::Scene;
use crate::activation::{Answer, Port, look_at, stranger};
use crate::cert::target::{Place, Target};

/// Asks every daemon of this host that has a pair and a port.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if !scene.tls_is_on() {
        return;
    }
    let Ok(members) = &scene.members else { return };
    let targets = match Target::all(&scene.admin, members) {
        Ok(targets) => targets,
        Err(e) => return found.error(Severity::Unknown, "served", &e),
    };
    for target in targets.iter().filter(|target| target.place == Place::Here) {
        match Port::of(&scene.admin, members, target) {
            Ok(Port::At(addresses)) => {
                if let Some(leaf) = on_disk(target) {
                    let at = addresses.first().map_or_else(String::new, ToString::to_string);
                    match (look_at(&addresses, &leaf), stranger(&scene.admin, target, &addresses)) {
                        (answer @ (Answer::ServesIt(_) | Answer::Down(_)), _) | (answer, None) => {
                            judge(scene, target, &at, answer, found);
                        }
                        (_, Some(user)) => taken(target, &at, &user, found),
                    }
                }
            }
            Ok(Port::Unknown) => found.not_looked_at(format!(
                "what {target} serves: its port is in no file; probe in [daemons.{}] names it",
                target.daemon.short()
            )),
            Ok(Port::NoTls) => {}
            Err(e) => found.not_looked_at(format!("what {target} serves: {e}")),
        }
    }
}

/// What somebody else answers there says nothing of the daemon's certificate.
fn taken(target: &Target, at: &str, user: &str, found: &mut Findings) {
    found.critical(
        "served",
        format!("who answers at {at} is not {target}, but a program of {user}'s"),
        format!("see whose it is (ss -ltnp) and end it; then systemctl restart {}", target.daemon),
    );
}

fn on_disk(target: &Target) -> Option<X509> {
    let (pem, _) = file::read_with_metadata(&target.config.cert, MAX_CHAIN_PEM).ok()?;
    loads_in_s2n::own_chain(pem.expose()).ok()?.into_iter().next()
}

fn judge(scene: &Scene, target: &Target, at: &str, answer: Answer, found: &mut Findings) {
    let short = target.daemon.short();
    let restart =
        format!("slurm-pki cert renew --activate --only {short}; or systemctl restart {}", target.daemon);
    match answer {
        Answer::ServesIt(_) => found.ok("served", format!("{target} serves the certificate that is on disk")),
        Answer::ServesAnother(served) => {
            let near = served.leaf().map_or(Severity::Warning, |leaf| {
                expiry::severity(leaf, &scene.thresholds, scene.now).max(Severity::Warning)
            });
            let end = served
                .leaf()
                .map_or_else(String::new, |leaf| format!(", which ends {}", leaf.facts().not_after));
            let what = format!("{target} still serves another certificate than the one on disk{end}");
            found.add_as(near, "served", what, restart);
        }
        Answer::NotTls(why) => {
            found.critical("served", format!("{target} does not speak TLS: {why}"), restart);
        }
        Answer::Unclear(why) => {
            found.unknown(
                "served",
                format!("what {target} serves: {why}"),
                format!("openssl s_client -connect {at} </dev/null says more"),
            );
        }
        Answer::Down(why) => found.not_looked_at(format!("what {target} serves: {why}")),
    }
}
