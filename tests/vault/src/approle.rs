//! AppRole: a role's id and one of its secret ids give a token.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::core::{Call, done, unsupported, uuid};
use crate::engine::{Answer, Done, Failed, Op, bad};
use crate::params::Params;
use crate::token::{NewToken, Tokens};

#[derive(Debug, Default)]
pub(crate) struct AppRole {
    roles: BTreeMap<String, Role>,
}

#[derive(Debug, Default)]
struct Role {
    id: String,
    policies: Vec<String>,
    ttl: i64,
    max_ttl: i64,
    period: i64,
    num_uses: i64,
    secret_id_ttl: i64,
    secret_id_num_uses: i64,
    no_default: bool,
    token_type: String,
    secret_id_cidrs: Vec<String>,
    token_cidrs: Vec<String>,
    secrets: BTreeMap<String, Secret>,
}

#[derive(Debug)]
struct Secret {
    accessor: String,
    expires: Option<i64>,
    /// 0: without limit.
    uses: i64,
}

impl AppRole {
    pub(crate) fn answer(&mut self, tokens: &mut Tokens, call: &Call<'_>, path: &str) -> Answer {
        let params = Params::of(&call.request.body);
        let parts: Vec<&str> = path.split('/').collect();
        match (call.op, parts.as_slice()) {
            (Op::Write, ["login"]) => self.login(tokens, call, &params),
            (Op::List, ["role"]) => Done::keys(self.roles.keys().cloned().collect()),
            (Op::Write, ["role", name]) => self.write(name, &params),
            (Op::Read, ["role", name]) => self.read(name),
            (Op::Delete, ["role", name]) => {
                self.roles.remove(*name);
                done()
            }
            (op, ["role", name, what]) => {
                let role = self.roles.get_mut(*name).ok_or(Failed::Nothing)?;
                role.answer(op, what, &params, call.now)
            }
            _ => unsupported(),
        }
    }

    fn write(&mut self, name: &str, params: &Params<'_>) -> Answer {
        let role =
            self.roles.entry(name.to_owned()).or_insert_with(|| Role { id: uuid(), ..Role::default() });
        let policies = params.list("token_policies").or_else(|| params.list("policies"));
        role.policies = policies.unwrap_or_else(|| role.policies.clone());
        let set = |field: &mut i64, name: &str| {
            if params.get(name).is_some() {
                *field = params.seconds(name);
            }
        };
        set(&mut role.ttl, "token_ttl");
        set(&mut role.max_ttl, "token_max_ttl");
        set(&mut role.period, "token_period");
        set(&mut role.num_uses, "token_num_uses");
        set(&mut role.secret_id_ttl, "secret_id_ttl");
        set(&mut role.secret_id_num_uses, "secret_id_num_uses");
        role.no_default = params.flag("token_no_default_policy", role.no_default);
        if params.get("token_type").is_some() {
            role.token_type = params.text("token_type");
        }
        let list = |name: &str, old: &[String]| params.list(name).unwrap_or_else(|| old.to_vec());
        role.secret_id_cidrs = list("secret_id_bound_cidrs", &role.secret_id_cidrs);
        role.token_cidrs = list("token_bound_cidrs", &role.token_cidrs);
        let _ = params.get("bind_secret_id");
        if role.token_type == "batch" && (role.period > 0 || role.num_uses > 0) {
            return Err(bad(
                "'token_type' cannot be 'batch' when set to generate tokens with limited use count",
            ));
        }
        done()
    }

    fn read(&self, name: &str) -> Answer {
        let role = self.roles.get(name).ok_or(Failed::Nothing)?;
        Done::data(json!({
            "bind_secret_id": true,
            "local_secret_ids": false,
            "secret_id_bound_cidrs": if role.secret_id_cidrs.is_empty() { Value::Null } else { json!(role.secret_id_cidrs) },
            "secret_id_num_uses": role.secret_id_num_uses,
            "secret_id_ttl": role.secret_id_ttl,
            "token_bound_cidrs": role.token_cidrs,
            "token_explicit_max_ttl": 0,
            "token_max_ttl": role.max_ttl,
            "token_no_default_policy": role.no_default,
            "token_num_uses": role.num_uses,
            "token_period": role.period,
            "token_policies": role.policies,
            "token_ttl": role.ttl,
            "token_type": if role.token_type.is_empty() { "default" } else { &role.token_type },
        }))
    }

    fn login(&mut self, tokens: &mut Tokens, call: &Call<'_>, params: &Params<'_>) -> Answer {
        let id = params.text("role_id");
        if id.is_empty() {
            return Err(bad("missing role_id"));
        }
        let found = self.roles.iter_mut().find(|(_, role)| role.id == id);
        let (name, role) = found.ok_or_else(|| bad("invalid role or secret ID"))?;
        let secret_id = params.text("secret_id");
        let secret = role.secrets.get_mut(&secret_id).ok_or_else(|| bad("invalid role or secret ID"))?;
        if secret.expires.is_some_and(|end| end <= call.now) {
            role.secrets.remove(&secret_id);
            return Err(bad("invalid role or secret ID"));
        }
        match secret.uses {
            0 => {}
            1 => {
                role.secrets.remove(&secret_id);
            }
            _ => secret.uses -= 1,
        }
        let new = NewToken {
            policies: role.policies.clone(),
            display_name: "approle".into(),
            ttl: role.ttl,
            max_ttl: role.max_ttl,
            period: role.period,
            num_uses: role.num_uses,
            no_default: role.no_default,
            not_renewable: role.token_type == "batch",
            path: format!("auth/approle/login ({name})"),
            ..NewToken::default()
        };
        Ok(Done { auth: Some(tokens.make(new, call.now)), ..Done::default() })
    }
}

impl Role {
    fn answer(&mut self, op: Op, what: &str, params: &Params<'_>, now: i64) -> Answer {
        match (op, what) {
            (Op::Read, "role-id") => Done::data(json!({ "role_id": self.id })),
            (Op::Write, "role-id") => {
                self.id = params.text("role_id");
                done()
            }
            (Op::Write, "secret-id") => self.new_secret(now),
            (Op::List, "secret-id") => {
                Done::keys(self.secrets.values().map(|secret| secret.accessor.clone()).collect())
            }
            (Op::Write, "secret-id-accessor/destroy") => {
                let accessor = params.text("secret_id_accessor");
                self.secrets.retain(|_, secret| secret.accessor != accessor);
                done()
            }
            _ => unsupported(),
        }
    }

    fn new_secret(&mut self, now: i64) -> Answer {
        let (id, accessor) = (uuid(), uuid());
        let expires = (self.secret_id_ttl > 0).then_some(now + self.secret_id_ttl);
        let secret = Secret { accessor: accessor.clone(), expires, uses: self.secret_id_num_uses };
        self.secrets.insert(id.clone(), secret);
        Done::data(json!({
            "secret_id": id,
            "secret_id_accessor": accessor,
            "secret_id_num_uses": self.secret_id_num_uses,
            "secret_id_ttl": self.secret_id_ttl,
        }))
    }
}
