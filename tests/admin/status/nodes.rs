//! Nodes of a scratch site, and certificates that they got: just now by sign_csr, or long ago by the files that
//! are left of it.

use std::fs;
use std::path::PathBuf;

use pki::record::RecordFile;
use pki::time::UnixTime;
use pki::token::NodeSecret;
use serde_json::json;
use support::bound_request::bound_request;
use support::programs::{copy_for_everybody, program};
use support::slurm::Slurm;

use crate::scratch::{Scratch, caller};

/// slurmctld's programs, run as SlurmUser.
pub(crate) struct Controller {
    slurm: Slurm,
    sign_csr: PathBuf,
}

impl Controller {
    pub(crate) fn of(site: &Scratch) -> Self {
        let mut slurm = site.bare();
        if caller() == 0 {
            slurm = slurm.as_user(site.slurm_user.1, site.slurm_user.1);
        }
        Self { slurm, sign_csr: copy_for_everybody(&program("sign_csr"), &site.path(".")) }
    }

    /// One certificate for a node, which must be issued.
    #[track_caller]
    pub(crate) fn signs(&self, node: &str, secret: &NodeSecret) {
        let run = self.slurm.run(&self.sign_csr, &[bound_request(secret, node)]);
        assert!(run.answer().is_ok(), "{node}: {}", run.text());
    }
}

/// The secret that waits for a node.
#[track_caller]
pub(crate) fn secret(site: &Scratch, node: &str) -> NodeSecret {
    let file = fs::read(site.path(&format!("state/outgoing/{node}_token.txt"))).unwrap();
    NodeSecret::from_token_file(&file).unwrap()
}

/// What a certificate of `node`, issued at `time` for a week, left in ledger, `last/` and store.
pub(crate) fn issued_at(site: &Scratch, node: &str, time: UnixTime) {
    let file = site.read(&format!("state/tokens/{node}.json"));
    let record = &RecordFile::parse(file.as_bytes()).unwrap().records[0];
    let UnixTime(time) = time;
    let line = json!({
        "v": 1, "time": time, "node": node, "serial": format!("{time:x}"), "spki_sha256": "00", "not_before": time,
        "not_after": time + 7 * 86_400, "issuer": "CN=c1 Slurm CA", "record": record.id,
    });
    let line = format!("{line}\n");
    put(site, &format!("state/ledger/last/{node}.json"), &line);
    put(site, &format!("state/tokens/{node}.{}.used", record.id), &format!("{time} {time}"));
    put(site, "state/ledger/issued.elsewhere.jsonl", &(site_text(site) + &line));
}

fn site_text(site: &Scratch) -> String {
    fs::read_to_string(site.path("state/ledger/issued.elsewhere.jsonl")).unwrap_or_default()
}

/// A file of SlurmUser's.
pub(crate) fn put(site: &Scratch, relative: &str, text: &str) {
    let owner = caller();
    let folder = site.path(relative).parent().unwrap().to_owned();
    let made = !folder.exists();
    fs::create_dir_all(&folder).unwrap();
    site.write(relative, text, 0o600);
    if owner == 0 {
        let user = Some(site.slurm_user.1);
        std::os::unix::fs::chown(site.path(relative), user, user).unwrap();
        if made {
            std::os::unix::fs::chown(&folder, user, user).unwrap();
        }
    }
}
