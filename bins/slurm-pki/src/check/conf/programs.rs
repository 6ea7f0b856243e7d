//! Programs of ours beside programs of others, and windows that have to fit Slurm's.

use std::time::Duration;

use pki::policy::Bind;
use site::config::NodeConfig;

use super::super::finding::Findings;
use super::super::scene::Scene;
use super::SHOW;
use crate::moment;
use crate::parameters::Parameters;
use crate::programs::{GENERATE_CSR, GET_CERT_KEY, SIGN_CSR, is_ours};

/// Slurm's default (slurm.conf(5)).
const MESSAGE_TIMEOUT: u64 = 10;

/// A lost reply is asked for again: for so many MessageTimeouts the same token has to be good.
const TIMEOUTS: u32 = 10;

/// Looks at what a node asks with, and at what a controller answers.
pub(super) fn look(scene: &Scene, found: &mut Findings) {
    if scene.get("CertmgrType").is_none() {
        return;
    }
    same_key(scene, found);
    if !scene.controller {
        return;
    }
    foreign_requests(scene, found);
    replays(scene, found);
}

/// sign_csr wants requests that are bound, which only our generate_csr makes.
fn foreign_requests(scene: &Scene, found: &mut Findings) {
    let given = Parameters::of(scene.get("CertmgrParameters"));
    let (Some(sign), Some(generate)) = (given.get("sign_csr_script"), given.get("generate_csr_script"))
    else {
        return;
    };
    if !is_ours(sign, SIGN_CSR) {
        return found
            .not_looked_at(format!("requests and their binding: sign_csr_script={sign} is not slurm-pki's"));
    }
    let bind = scene.admin.controller.bind;
    if bind == Bind::Off {
        found.warning(
            "bind-off",
            "bind = \"off\": whoever holds the cluster's auth key gets certificates for any node",
            "set bind = \"warn\", and \"required\" when no node warns any more, in [controller]",
        );
    }
    if is_ours(generate, GENERATE_CSR) {
        return found.ok("generate-csr", "requests are made and judged by slurm-pki's programs");
    }
    let what = format!("generate_csr_script={generate} is not slurm-pki's: its requests are not bound");
    match bind {
        Bind::Required => found.critical(
            "generate-csr",
            format!("{what}, and sign_csr refuses them all"),
            format!("{SHOW}; until then bind = \"warn\" in [controller]"),
        ),
        Bind::Warn | Bind::Off => found.warning("generate-csr", what, SHOW),
    }
}

/// slurmd crashes when the key is not the request's: one program makes a key at each request, and the other knows of
/// its own alone.
fn same_key(scene: &Scene, found: &mut Findings) {
    // A controller's config may say nothing of nodes.
    let knows =
        scene.node.is_some() || scene.sackd || scene.admin.config.sections().any(|(name, _)| name == "node");
    let given = Parameters::of(scene.get("CertmgrParameters"));
    let (Some(generate), Some(key)) =
        (given.get("generate_csr_script"), given.get("get_node_cert_key_script"))
    else {
        return;
    };
    let Some(node) = NodeConfig::read(&scene.admin.config).ok().filter(|_| knows) else { return };
    let foreign = match (is_ours(generate, GENERATE_CSR), is_ours(key, GET_CERT_KEY)) {
        (true, false) if node.renew_key => key,
        (false, true) if node.renew_key => generate,
        (false, false) => return,
        _ => return found.ok("get-cert-key", "generate_csr and get_cert_key are about the same key"),
    };
    found.critical(
        "get-cert-key",
        format!(
            "get_node_cert_key_script={key} does not know the key of generate_csr_script={generate}: slurmd crashes at \
             its next start or renewal"
        ),
        format!("take both from slurm-pki; or renew_key = false in [node], with {foreign}'s key file as key_file"),
    );
}

fn replays(scene: &Scene, found: &mut Findings) {
    let timeout = scene.get("MessageTimeout").and_then(|text| text.split_whitespace().next()?.parse().ok());
    let least = Duration::from_secs(timeout.unwrap_or(MESSAGE_TIMEOUT)) * TIMEOUTS;
    let window = scene.admin.controller.windows.replay;
    let what = format!(
        "replay_window is {}, {TIMEOUTS} × MessageTimeout is {}",
        moment::span(window),
        moment::span(least)
    );
    if window < least {
        let fix = format!("set replay_window = \"{}s\" or more in [controller]", least.as_secs());
        return found.warning(
            "replay-window",
            format!("{what}: a node whose reply was lost is refused and dies"),
            fix,
        );
    }
    found.ok("replay-window", what);
}
