//! What slurm-pki asks of Vault, asked by vaultrs of the server in VAULT_ADDR with the root token in VAULT_TOKEN.
//! The CA of its listener is in VAULT_CACERT, a request for the name n1 in JUDGE_CSR.

use std::collections::HashMap;
use std::env::var;
use std::error::Error;

use serde::{Deserialize, Serialize};
use vaultrs::api::kv2::requests::SetSecretRequestOptions;
use vaultrs::api::pki::requests::{GenerateRootRequest, SetRoleRequest, SignCertificateRequest};
use vaultrs::api::sys::requests::EnableEngineRequest;
use vaultrs::api::token::requests::CreateTokenRequest;
use vaultrs::client::{VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;
use vaultrs::{auth, kv1, kv2, pki, sys, token};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Entry {
    record: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let root = client(&var("VAULT_TOKEN")?)?;
    let health = sys::health(&root).await?;
    assert!(health.initialized && !health.sealed);
    assert_eq!(token::lookup_self(&root).await?.policies, ["root"]);
    engines(&root).await?;
    entries(&root).await?;
    signatures(&root).await?;
    rights(&root).await?;
    logins(&root).await?;
    Ok(())
}

fn client(token: &str) -> Outcome<VaultClient> {
    let mut settings = VaultClientSettingsBuilder::default();
    settings.address(var("VAULT_ADDR")?).token(token).ca_certs(vec![var("VAULT_CACERT")?]);
    Ok(VaultClient::new(settings.build()?)?)
}

/// The code of a refusal; anything else is not one.
fn code<T>(result: Result<T, ClientError>) -> u16 {
    match result {
        Err(ClientError::APIError { code, .. }) => code,
        Err(other) => panic!("not an answer of the API: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

async fn engines(root: &VaultClient) -> Outcome<()> {
    sys::mount::enable(root, "pki", "pki", None).await?;
    let mut second = EnableEngineRequest::builder();
    second.options(HashMap::from([("version".to_owned(), "2".to_owned())]));
    sys::mount::enable(root, "records", "kv", Some(&mut second)).await?;
    sys::mount::enable(root, "old", "kv", None).await?;
    let mounts = sys::mount::list(root).await?;
    assert_eq!(mounts["pki/"].mount_type, "pki");
    assert_eq!(code(sys::mount::enable(root, "old", "kv", None).await), 400);
    Ok(())
}

async fn entries(root: &VaultClient) -> Outcome<()> {
    let entry = |text: &str| Entry { record: text.to_owned() };
    let (one, two) = (entry("one"), entry("two"));
    let unless_there = || SetSecretRequestOptions { cas: 0 };
    assert_eq!(kv2::set_with_options(root, "records", "n1", &one, unless_there()).await?.version, 1);
    assert_eq!(code(kv2::set_with_options(root, "records", "n1", &two, unless_there()).await), 400);
    kv2::set(root, "records", "n1", &two).await?;
    assert_eq!(kv2::read::<Entry>(root, "records", "n1").await?, two);
    assert_eq!(kv2::list(root, "records", "").await?, ["n1"]);
    kv2::delete_metadata(root, "records", "n1").await?;
    assert_eq!(code(kv2::read::<Entry>(root, "records", "n1").await), 404);
    kv1::set(root, "old", "n1", &HashMap::from([("token", "t")])).await?;
    assert_eq!(kv1::get::<HashMap<String, String>>(root, "old", "n1").await?["token"], "t");
    assert_eq!(kv1::list(root, "old", "").await?.data.keys, ["n1"]);
    kv1::delete(root, "old", "n1").await?;
    assert_eq!(code(kv1::get::<HashMap<String, String>>(root, "old", "n1").await), 404);
    Ok(())
}

async fn signatures(root: &VaultClient) -> Outcome<()> {
    let mut wish = GenerateRootRequest::builder();
    wish.common_name("Root").ttl("8000h").key_type("ec").key_bits(256u64);
    let made = pki::cert::ca::generate(root, "pki", "internal", Some(&mut wish)).await?.ok_or("no root")?;
    assert!(made.certificate.contains("BEGIN CERTIFICATE"));
    let mut role = SetRoleRequest::builder();
    role.allowed_domains(vec!["n1".to_owned()]).allow_bare_domains(true).key_type("any").max_ttl("24h");
    role.use_csr_common_name(false).use_csr_sans(false).no_store(true);
    pki::role::set(root, "pki", "slurm", Some(&mut role)).await?;
    assert_eq!(pki::role::read(root, "pki", "slurm").await?.allowed_domains, ["n1"]);
    assert_eq!(pki::role::list(root, "pki").await?.keys, ["slurm"]);
    let csr = var("JUDGE_CSR")?;
    let mut wish = SignCertificateRequest::builder();
    wish.ttl("1h").alt_names("n1");
    let signed = pki::cert::ca::sign(root, "pki", "slurm", &csr, "n1", Some(&mut wish)).await?;
    assert_eq!(signed.issuing_ca.trim(), made.certificate.trim());
    assert_eq!(code(pki::cert::ca::sign(root, "pki", "slurm", &csr, "n2", None).await), 400);
    assert_eq!(code(pki::cert::ca::sign(root, "pki", "nobody", &csr, "n1", None).await), 400);
    Ok(())
}

async fn rights(root: &VaultClient) -> Outcome<()> {
    sys::policy::set(root, "signer", "path \"pki/sign/slurm\" { capabilities = [\"update\"] }").await?;
    assert!(sys::policy::list(root).await?.policies.contains(&"signer".to_owned()));
    let mut wish = CreateTokenRequest::builder();
    wish.policies(vec!["signer".to_owned()]).ttl("1h");
    let made = token::new(root, Some(&mut wish)).await?;
    assert_eq!(made.lease_duration, 3600);
    let signer = client(&made.client_token)?;
    pki::cert::ca::sign(&signer, "pki", "slurm", &var("JUDGE_CSR")?, "n1", None).await?;
    assert_eq!(code(pki::role::read(&signer, "pki", "slurm").await), 403);
    assert_eq!(code(kv2::read::<Entry>(&signer, "records", "n1").await), 403);
    assert!(token::renew_self(&signer, Some("1h")).await?.renewable);
    token::revoke_self(&signer).await?;
    assert_eq!(code(token::lookup_self(&signer).await), 403);
    Ok(())
}

async fn logins(root: &VaultClient) -> Outcome<()> {
    use vaultrs::api::auth::approle::requests::SetAppRoleRequest;
    sys::auth::enable(root, "approle", "approle", None).await?;
    let mut wish = SetAppRoleRequest::builder();
    wish.token_policies(vec!["signer".to_owned()]).token_ttl("10m");
    auth::approle::role::set(root, "approle", "slurm", Some(&mut wish)).await?;
    let role_id = auth::approle::role::read_id(root, "approle", "slurm").await?.role_id;
    let secret = auth::approle::role::secret::generate(root, "approle", "slurm", None).await?;
    let login = auth::approle::login(root, "approle", &role_id, &secret.secret_id).await?;
    assert_eq!(login.lease_duration, 600);
    assert_eq!(code(auth::approle::login(root, "approle", &role_id, "wrong").await), 400);
    Ok(())
}
