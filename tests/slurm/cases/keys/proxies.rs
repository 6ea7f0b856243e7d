//! nginx and Apache httpd as they come in packaging/, in front of the real slurmrestd. Whoever a request is for, is seen by
//! whose job it submits and by whether it may have slurmctld reconfigured.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::cases::hosts::{Case, Hosts};
use crate::cluster::PATIENCE;
use crate::lab::User;
use crate::shell::wait_until;

pub(super) const CASES: &[Case] = &[
    ("proxies: a token is made for both as their timer makes it", token),
    ("nginx: a user gets through as that user, and no header makes it another", nginx),
    ("nginx: a portal acts for the users of its list alone", portal),
    ("Apache: a user gets through as that user, and no header makes it another", apache),
];

/// A job that anybody may submit.
pub(super) const JOB: &str = r##"{"job":{"name":"proxy","partition":"main","current_working_directory":"/tmp","environment":["PATH=/bin"],"script":"#!/bin/sh\ntrue\n"}}"##;

/// Server, passwords, people's certificates.
const FILES: &str = r"
set -eu
mkdir -p /proxy && cd /proxy
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1; }
key key.pem; key ca_key.pem
openssl req -x509 -key key.pem -out cert.pem -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost
openssl req -x509 -key ca_key.pem -out users_ca.pem -days 30 -subj /CN=people
for user in alice root slurm 0 portal; do
    key $user.key
    openssl req -new -key $user.key -subj /CN=$user | openssl x509 -req -CA users_ca.pem -CAkey ca_key.pem -days 30 -out $user.pem
done
: > passwords
for user in alice root slurm 0 Alice; do htpasswd -bB passwords $user secret-$user; done
mkdir -p /etc/nginx/slurmrestd /etc/slurmrestd-proxy
cp *.pem passwords /etc/nginx/slurmrestd; cp *.pem passwords /etc/slurmrestd-proxy
rm -f /etc/nginx/sites-enabled/* /etc/apache2/sites-enabled/*
cp /slurm-pki/packaging/nginx/slurmrestd*.conf /etc/nginx/conf.d/
cp /slurm-pki/packaging/apache/slurmrestd.conf /etc/apache2/sites-available/
: > /etc/apache2/ports.conf
a2enmod -q ssl headers proxy proxy_http auth_basic authn_core authn_file authz_core authz_user
a2ensite -q slurmrestd
";

fn token(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    hosts.rest1.sh(FILES)?;
    let token = hosts.scontrol_token("slurm", 3600)?;
    let folder = "/run/slurm-pki-proxy";
    hosts
        .rest1
        .sh(&format!("mkdir -m 0700 {folder} && umask 077 && printf '%s\\n' {token} > {folder}/token"))?;
    hosts.rest1.sh(&format!("/slurm-pki/packaging/libexec/proxy-token {folder}"))?;
    let is = hosts.rest1.sh(&format!("stat -c '%a %U' {folder}/nginx.conf {folder}/apache.conf"))?;
    ensure!(is == "600 root\n600 root\n", "{is}");
    Ok(Vec::new())
}

/// Who slurmctld took a request for.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Not let through.
    Refused,
    /// The owner of its job, who could not reconfigure slurmctld.
    User(String),
    /// Somebody who could.
    Root,
}

struct Request<'a> {
    hosts: &'a Hosts<'a>,
    port: u16,
}

impl Request<'_> {
    fn seen(&self, options: &[&str]) -> Result<Seen> {
        let (code, _) = self.send(options, "reconfigure", &[])?;
        if code == "200" {
            return Ok(Seen::Root);
        }
        let json = ["-H", "Content-Type: application/json", "-d", JOB];
        let (code, body) = self.send(options, "job/submit", &json)?;
        if code != "200" {
            return Ok(Seen::Refused);
        }
        let id = body.get("job_id").and_then(serde_json::Value::as_u64).context("no job_id")?;
        let job = self.hosts.ctl1.sh(&format!("scontrol show job {id}"))?;
        let owner =
            job.split_once("UserId=").and_then(|(_, rest)| rest.split_once('(')).context("no UserId")?;
        Ok(Seen::User(owner.0.to_owned()))
    }

    fn send(&self, options: &[&str], path: &str, more: &[&str]) -> Result<(String, serde_json::Value)> {
        let url = format!("https://localhost:{}/slurm/v0.0.45/{path}", self.port);
        let mut curl = self.hosts.rest1.command("curl", User::Root);
        curl.args(["-s", "--max-time", "60", "--cacert", "/proxy/cert.pem", "-w", "\n%{http_code}"]);
        let output = curl.args(options).args(more).arg(url).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, code) = text.rsplit_once('\n').context("curl said nothing")?;
        Ok((code.to_owned(), serde_json::from_str(body).unwrap_or_default()))
    }
}

/// Headers that name somebody else, or would have the proxy forget who it is.
fn smuggled(token: &str) -> Vec<Vec<String>> {
    let bearer = format!("Authorization: Bearer {token}");
    let user_token = format!("X-SLURM-USER-TOKEN: {token}");
    let all: &[&[&str]] = &[
        &["X-SLURM-USER-NAME: root"],
        &["x-slurm-user-name: root"],
        &["X-Slurm-User-Name: root", "x-SLURM-user-NAME: bob"],
        &["X-SLURM-USER-NAME: root", "X-SLURM-USER-NAME: root"],
        &["X-SLURM-USER-NAME;"],
        &["X_SLURM_USER_NAME: root"],
        &["X-SLURM_USER-NAME: root", "X_SLURM-USER_TOKEN: x"],
        &["X-SLURM-USER-NAME : root"],
        &["X-SLURM-USER-NAME: root", &user_token],
        &[&user_token],
        &["x_slurm_user_token: x", &user_token],
        &[&bearer],
        &[&bearer, &user_token],
        &["Connection: close, X-SLURM-USER-NAME"],
        &["Connection: X-SLURM-USER-NAME, X-SLURM-USER-TOKEN", &user_token],
        &["Connection: x-slurm-user-name", "Connection: keep-alive"],
        &["Connection: close", "Proxy-Connection: X-SLURM-USER-NAME"],
        &["Connection: upgrade, X-SLURM-USER-NAME", "Upgrade: websocket"],
        &["Keep-Alive: X-SLURM-USER-NAME", "TE: X-SLURM-USER-NAME"],
        &["Trailer: X-SLURM-USER-NAME"],
        &["X-Forwarded-User: root", "Remote-User: root", "REMOTE_USER: root"],
        &["X-HTTP-Method-Override: GET", "X-Original-URL: /slurm/v0.0.45/reconfigure"],
    ];
    all.iter().map(|headers| headers.iter().map(|header| (*header).to_owned()).collect()).collect()
}

fn nginx(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    start(hosts, "nginx")?;
    through(hosts, "nginx")
}

fn apache(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    hosts.rest1.systemctl("stop", "nginx")?;
    start(hosts, "apache2")?;
    let said = through(hosts, "Apache");
    hosts.rest1.systemctl("stop", "apache2")?;
    said
}

fn start(hosts: &Hosts<'_>, unit: &str) -> Result<()> {
    hosts.rest1.systemctl("start", unit)?;
    wait_until(unit, PATIENCE, || {
        let (code, _) = Request { hosts, port: 443 }.send(&[], "ping", &[])?;
        Ok(code == "401")
    })
    .with_context(|| {
        fs::read_to_string(hosts.lab.path(&format!("/var/log/slurm/{unit}.rest1.log"))).unwrap_or_default()
    })
}

fn through(hosts: &Hosts<'_>, proxy: &str) -> Result<Vec<String>> {
    let alice = Seen::User("alice".into());
    let (basic, certificates) = (Request { hosts, port: 443 }, Request { hosts, port: 8443 });
    for (what, options, expected) in [
        ("nobody", &[][..], &Seen::Refused),
        ("a wrong password", &["-u", "alice:wrong"], &Seen::Refused),
        ("alice", &["-u", "alice:secret-alice"], &alice),
        ("root", &["-u", "root:secret-root"], &Seen::Refused),
        ("SlurmUser", &["-u", "slurm:secret-slurm"], &Seen::Refused),
        ("user 0", &["-u", "0:secret-0"], &Seen::Refused),
        ("Alice", &["-u", "Alice:secret-Alice"], &Seen::Refused),
    ] {
        let seen = basic.seen(options)?;
        ensure!(seen == *expected, "{proxy}, {what}: {seen:?}");
    }
    for user in ["alice", "root", "slurm", "0"] {
        let (cert, key) = (format!("/proxy/{user}.pem"), format!("/proxy/{user}.key"));
        let expected = if user == "alice" { &alice } else { &Seen::Refused };
        let seen = certificates.seen(&["--cert", &cert, "--key", &key])?;
        ensure!(seen == *expected, "{proxy}, certificate of {user}: {seen:?}");
    }
    ensure!(certificates.seen(&[])? == Seen::Refused, "{proxy}: without certificate");
    let ways: [(&Request<'_>, &[&str]); 3] = [
        (&basic, &[]),
        (&basic, &["-u", "alice:secret-alice"]),
        (&certificates, &["--cert", "/proxy/alice.pem", "--key", "/proxy/alice.key"]),
    ];
    let bobs = hosts.scontrol_token("bob", 600)?;
    let (mut as_alice, mut refused) = (0, 0);
    for headers in smuggled(&bobs) {
        for (n, (request, way)) in ways.iter().enumerate() {
            let mut options = way.to_vec();
            headers.iter().for_each(|header| options.extend(["-H", header.as_str()]));
            match request.seen(&options)? {
                Seen::User(user) if user == "alice" && n > 0 => as_alice += 1,
                Seen::Refused => refused += 1,
                seen => anyhow::bail!("{proxy}, {headers:?}: {seen:?}"),
            }
        }
    }
    Ok(vec![format!(
        "{proxy}: of {} smuggled requests {as_alice} were alice's all the same, {refused} refused, 0 somebody else's",
        as_alice + refused
    )])
}

fn portal(hosts: &mut Hosts<'_>) -> Result<Vec<String>> {
    let request = Request { hosts, port: 8444 };
    let portal: &[&str] = &["--cert", "/proxy/portal.pem", "--key", "/proxy/portal.key"];
    let alices: &[&str] = &["--cert", "/proxy/alice.pem", "--key", "/proxy/alice.key"];
    for (who, headers, expected) in [
        (portal, &["X-On-Behalf-Of: bob"][..], Seen::User("bob".into())),
        (portal, &["x-on-behalf-of: alice"], Seen::User("alice".into())),
        (portal, &["X-On-Behalf-Of: root"], Seen::Refused),
        (portal, &["X-On-Behalf-Of: slurm"], Seen::Refused),
        (portal, &["X-On-Behalf-Of: alice", "X-On-Behalf-Of: root"], Seen::Refused),
        (portal, &["X-SLURM-USER-NAME: bob"], Seen::Refused),
        (portal, &[], Seen::Refused),
        (alices, &["X-On-Behalf-Of: bob"], Seen::Refused),
        (alices, &[], Seen::Refused),
    ] {
        let mut options = who.to_vec();
        headers.iter().for_each(|header| options.extend(["-H", header]));
        let seen = request.seen(&options)?;
        ensure!(seen == expected, "{headers:?}: {seen:?}");
    }
    Ok(Vec::new())
}
