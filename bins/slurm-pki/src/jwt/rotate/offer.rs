//! What there is where no gap is allowed: RS256, whose list may hold two keys at once (slurm-contract.md 6).

use super::super::places::Places;
use crate::report;

/// Shows the commands, with the paths of this site.
pub(super) fn show(places: &Places) {
    let list = places.jwks.as_ref().map_or("/etc/slurm/jwks.json".into(), |path| path.display().to_string());
    let steps = [
        "RS256 needs no gap: a list of public keys may hold two at once, told apart by their kid.".to_owned(),
        String::new(),
        "1. Add the new key beside the old one, on every controller and slurmdbd's host:".to_owned(),
        "     openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out NEW.pem     (mode 0400, SlurmUser's)".to_owned(),
        format!("     slurm-pki jwt jwks build NEW.pem --kid NEW --keep --out {list}"),
        "     scontrol reconfigure; systemctl restart slurmdbd                               (both keys count now)".to_owned(),
        "2. Sign with it: jwt_private_key = \"NEW.pem\" in [keys], and".to_owned(),
        "     slurm-pki jwt token --kid NEW".to_owned(),
        "3. When the last token of the old key has ended, take that out of the list, and load it again:".to_owned(),
        format!("     slurm-pki jwt jwks build NEW.pem --kid NEW --out {list}"),
        "     scontrol reconfigure; systemctl restart slurmdbd".to_owned(),
        String::new(),
        match (&places.jwks, &places.jwt_key) {
            (None, _) => format!(
                "AuthAltParameters in slurm.conf and slurmdbd.conf has no jwks= yet: add jwks={list}, and keep jwt_key= beside \
                 it while HS256 tokens are in use (jwks= alone switches HS256 off)."
            ),
            (Some(_), Some(_)) => "HS256 tokens go on counting beside it.".to_owned(),
            (Some(_), None) => "HS256 is off here: jwks= stands alone.".to_owned(),
        },
    ];
    steps.iter().for_each(|step| report::line(step));
}
