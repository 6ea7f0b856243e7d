"""Everything that slurm-pki asks of Vault, asked by hvac of the server in VAULT_ADDR with the root token VAULT_TOKEN."""

import os
import subprocess

import hvac
import hvac.exceptions as refusals

root = hvac.Client(url=os.environ["VAULT_ADDR"], token=os.environ["VAULT_TOKEN"], verify=os.environ["VAULT_CACERT"])


def client(token=None):
    return hvac.Client(url=os.environ["VAULT_ADDR"], token=token or "", verify=os.environ["VAULT_CACERT"])


def refused(kind, ask, *arguments, **named):
    try:
        ask(*arguments, **named)
    except kind as refusal:
        return refusal
    raise AssertionError(f"{ask} was not refused")


# The server itself.
assert root.sys.is_initialized() and not root.sys.is_sealed()
assert root.sys.read_health_status(method="GET")["sealed"] is False
assert root.is_authenticated()
assert root.auth.token.lookup_self()["data"]["policies"] == ["root"]

# Engines and their settings.
root.sys.enable_secrets_engine("pki", path="pki", config={"max_lease_ttl": "87600h"})
root.sys.enable_secrets_engine("kv", path="records", options={"version": "2"})
root.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
mounts = root.sys.list_mounted_secrets_engines()["data"]
assert mounts["pki/"]["config"]["max_lease_ttl"] == 87600 * 3600, mounts
assert mounts["records/"]["options"]["version"] == "2", mounts
refused(refusals.InvalidRequest, root.sys.enable_secrets_engine, "kv", path="old")

# Key-value, both versions.
root.secrets.kv.v2.create_or_update_secret("n1", {"record": "one"}, mount_point="records", cas=0)
refused(refusals.InvalidRequest, root.secrets.kv.v2.create_or_update_secret, "n1", {"record": "x"},
        mount_point="records", cas=0)
root.secrets.kv.v2.create_or_update_secret("n1", {"record": "two"}, mount_point="records", cas=1)
read = root.secrets.kv.v2.read_secret_version("n1", mount_point="records", raise_on_deleted_version=True)["data"]
assert read["data"] == {"record": "two"} and read["metadata"]["version"] == 2, read
assert root.secrets.kv.v2.list_secrets("", mount_point="records")["data"]["keys"] == ["n1"]
root.secrets.kv.v2.delete_latest_version_of_secret("n1", mount_point="records")
refused(refusals.InvalidPath, root.secrets.kv.v2.read_secret_version, "n1", mount_point="records",
        raise_on_deleted_version=True)
root.secrets.kv.v2.delete_metadata_and_all_versions("n1", mount_point="records")
refused(refusals.InvalidPath, root.secrets.kv.v2.list_secrets, "", mount_point="records")
root.secrets.kv.v1.create_or_update_secret("a/n1", {"token": "t"}, mount_point="old")
assert root.secrets.kv.v1.read_secret("a/n1", mount_point="old")["data"] == {"token": "t"}
assert root.secrets.kv.v1.list_secrets("", mount_point="old")["data"]["keys"] == ["a/"]
root.secrets.kv.v1.delete_secret("a/n1", mount_point="old")
refused(refusals.InvalidPath, root.secrets.kv.v1.read_secret, "a/n1", mount_point="old")

# The CA, its role, a signature.
made = root.secrets.pki.generate_root("internal", "Root", {"ttl": "87600h", "key_type": "ec"}, mount_point="pki")
assert "BEGIN CERTIFICATE" in made["data"]["certificate"]
issuers = root.secrets.pki.list_issuers(mount_point="pki")["data"]["keys"]
assert issuers == [made["data"]["issuer_id"]], issuers
assert root.secrets.pki.read_issuer(issuers[0], mount_point="pki")["data"]["certificate"] == made["data"]["certificate"]
assert root.secrets.pki.read_ca_certificate(mount_point="pki").strip() == made["data"]["certificate"].strip()
root.secrets.pki.create_or_update_role(
    "slurm",
    {"allowed_domains": ["n1"], "allow_bare_domains": True, "allow_localhost": False, "key_type": "any",
     "use_csr_common_name": False, "use_csr_sans": False, "max_ttl": "24h", "no_store": True},
    mount_point="pki",
)
role = root.secrets.pki.read_role("slurm", mount_point="pki")["data"]
assert role["allowed_domains"] == ["n1"] and role["max_ttl"] == 86400 and role["no_store"], role
assert root.secrets.pki.list_roles(mount_point="pki")["data"]["keys"] == ["slurm"]
csr = subprocess.run(
    ["/usr/bin/openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
     "/dev/null", "-subj", "/CN=n1"],
    check=True, capture_output=True, text=True).stdout
signed = root.secrets.pki.sign_certificate("slurm", csr, "n1", {"ttl": "1h", "alt_names": "n1"}, mount_point="pki")
assert signed["data"]["issuing_ca"] == made["data"]["certificate"] and signed["warnings"] is None, signed
capped = root.secrets.pki.sign_certificate("slurm", csr, "n1", {"ttl": "48h"}, mount_point="pki")
assert "longer than permitted maxTTL" in capped["warnings"][0], capped
said = refused(refusals.InvalidRequest, root.secrets.pki.sign_certificate, "slurm", csr, "n2", mount_point="pki")
assert "not allowed by this role" in str(said), said
said = refused(refusals.InvalidRequest, root.secrets.pki.sign_certificate, "nobody", csr, "n1", mount_point="pki")
assert "unknown role" in str(said), said

# An intermediate.
root.sys.enable_secrets_engine("pki", path="lower", config={"max_lease_ttl": "8760h"})
request = root.secrets.pki.generate_intermediate("internal", "Lower", {"key_type": "ec"}, mount_point="lower")
lower = root.secrets.pki.sign_intermediate(request["data"]["csr"], "Lower", {"ttl": "8000h"}, mount_point="pki")
root.secrets.pki.set_signed_intermediate(lower["data"]["certificate"], mount_point="lower")
assert len(root.secrets.pki.list_issuers(mount_point="lower")["data"]["keys"]) == 1

# Policies and what tokens may do with them.
root.sys.create_or_update_acl_policy("signer", 'path "pki/sign/slurm" { capabilities = ["update"] }')
assert "pki/sign/slurm" in root.sys.read_acl_policy("signer")["data"]["policy"]
assert "signer" in root.sys.list_acl_policies()["data"]["keys"]
token = root.auth.token.create(policies=["signer"], ttl="1h", explicit_max_ttl="90m")["auth"]
assert token["lease_duration"] == 3600 and token["renewable"], token
signer = client(token["client_token"])
assert signer.auth.token.lookup_self()["data"]["policies"] == ["default", "signer"]
assert signer.secrets.pki.sign_certificate("slurm", csr, "n1", mount_point="pki")
refused(refusals.Forbidden, signer.secrets.pki.read_role, "slurm", mount_point="pki")
refused(refusals.Forbidden, signer.secrets.kv.v2.read_secret_version, "n1", mount_point="records",
        raise_on_deleted_version=True)
refused(refusals.Forbidden, signer.sys.list_mounted_secrets_engines)
may = signer.sys.get_capabilities(paths=["pki/sign/slurm", "records/data/n1"])["data"]
assert may["pki/sign/slurm"] == ["update"] and may["records/data/n1"] == ["deny"], may
renewed = signer.auth.token.renew_self(increment="2h")
assert renewed["auth"]["lease_duration"] <= 5400 and "capped" in renewed["warnings"][0], renewed
signer.auth.token.revoke_self()
refused(refusals.Forbidden, signer.auth.token.lookup_self)

# AppRole.
root.sys.enable_auth_method("approle")
root.auth.approle.create_or_update_approle("slurm", token_policies=["signer"], token_ttl="10m", secret_id_num_uses=1)
assert root.auth.approle.read_role("slurm")["data"]["token_policies"] == ["signer"]
role_id = root.auth.approle.read_role_id("slurm")["data"]["role_id"]
secret_id = root.auth.approle.generate_secret_id("slurm")["data"]["secret_id"]
login = client().auth.approle.login(role_id, secret_id)
assert login["auth"]["lease_duration"] == 600, login
refused(refusals.InvalidRequest, client().auth.approle.login, role_id, secret_id)

# Audit devices, and the seal last.
root.sys.enable_audit_device("file", path="file", options={"file_path": "/dev/null"})
assert "file/" in root.sys.list_enabled_audit_devices()["data"]
root.sys.seal()
assert root.sys.is_sealed()
refused(refusals.VaultDown, root.auth.token.lookup_self)
print("hvac is content")
