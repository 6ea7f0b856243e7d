//! webpki, the certificate checks of rustls.

use std::time::Duration;

use pki::time::UnixTime;
use pki::x509::X509;
use rustls_pki_types::{CertificateDer, UnixTime as PkiTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Whether webpki leads `chain`, leaf first, to one of `anchors`, as server and as client.
///
/// # Errors
/// What webpki says.
pub fn verify(chain: &[X509], anchors: &[X509], now: UnixTime) -> Result<(), webpki::Error> {
    let der: Vec<_> = chain.iter().map(|one| CertificateDer::from(one.der())).collect();
    let roots: Vec<_> = anchors.iter().map(|one| CertificateDer::from(one.der())).collect();
    let roots = roots.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>()?;
    let now = PkiTime::since_unix_epoch(Duration::from_secs(now.0.unsigned_abs()));
    let leaf = EndEntityCert::try_from(&der[0])?;
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &roots, &der[1..], now, usage, None, None)?;
    }
    Ok(())
}
