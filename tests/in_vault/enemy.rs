//! Enemies: whatever answers in Vault's place, whoever can change files of SlurmUser's, and what they get to see.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::programs::program;
use support::slurm::End;
use vault_stand_in::{Fault, Listener};

use crate::asked::Asked;

/// More tries than anyone makes.
const ALWAYS: u32 = 1000;

/// Slurm's limit, less what the machine needs under load.
const LIMIT: Duration = Duration::from_secs(5);

/// A server without TLS on the loopback, which does this with each connection; its address.
fn server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), serve) = (stream, serve.clone()) else { return };
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// The head of a request, so far as it comes at once.
fn heard(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 16_384];
    let count = stream.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[track_caller]
fn in_time(asked: &Asked, words: &str) {
    for what in ["validate", "sign"] {
        let begun = Instant::now();
        if what == "validate" {
            asked.validate_fails(words);
        } else {
            asked.sign_fails(words);
        }
        assert!(begun.elapsed() < LIMIT, "{what}: {:?}", begun.elapsed());
    }
}

#[test]
fn whoever_repeats_our_token_gets_it_into_no_log() {
    let asked = Asked::new();
    let token = asked.site.vault().token.clone();
    for status in [400, 404, 500, 503, 418] {
        let asked = Asked::new();
        let (own, vault) = (asked.site.vault().token.clone(), &asked.site.vault().server);
        let said = json!({ "errors": [format!("bad header X-Vault-Token: {own}")] }).to_string();
        vault.fail("", Fault::Status(status, leaked(said)), ALWAYS);
        for run in [asked.validate(), asked.sign()] {
            let said = String::from_utf8(run.output.clone()).unwrap();
            assert!(matches!(run.end, End::Status(code) if code.code() == Some(1)), "{said}");
            asked.shows_no_secret(&said);
            assert!(!said.contains(&own[..16]), "{said}");
        }
    }
    // In a line that is cut in the middle of it, and in a warning.
    let said = json!({ "errors": [format!("{} {token}", "x".repeat(225))] }).to_string();
    asked.site.vault().server.fail("", Fault::Status(500, leaked(said)), ALWAYS);
    let run = asked.sign();
    assert!(!String::from_utf8_lossy(&run.output).contains(&token[..12]), "{run:?}");
    let asked = Asked::new();
    let token = asked.site.vault().token.clone();
    let warned = json!({ "data": {}, "warnings": [format!("about {token}")] }).to_string();
    asked.site.vault().server.fail("pki/", Fault::Status(200, leaked(warned)), ALWAYS);
    let run = asked.sign();
    assert!(!String::from_utf8_lossy(&run.output).contains(&token[..12]), "{run:?}");
}

#[test]
fn whoever_drips_is_left_in_time() {
    let drip = |text: &'static [u8], pause: u64| {
        server(move |mut stream| {
            let _ = heard(&mut stream);
            // Blanks until the client leaves: on a quick machine the text alone would end in time.
            for byte in text.iter().chain(std::iter::repeat(&b' ')) {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(pause));
            }
        })
    };
    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"data\":{";
    for address in [drip(HEAD, 200), drip(HEAD, 20)] {
        in_time(&Asked::new().with("address", address), "took too long");
    }
}

#[test]
fn whoever_never_shakes_hands_is_left_in_time() {
    let silent = server(|mut stream| {
        let _ = heard(&mut stream);
        thread::sleep(Duration::from_secs(30));
    });
    in_time(&Asked::new().with("address", silent.replace("http:", "https:")), "took too long");
}

#[test]
fn headers_and_pieces_without_end_are_not_read_for_ever() {
    let headers = server(|mut stream| {
        let _ = heard(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(format!("X-More: {}\r\n", "m".repeat(1000)).as_bytes()).is_ok() {}
    });
    let pieces = server(|mut stream| {
        let _ = heard(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(format!("1000\r\n{}\r\n", " ".repeat(0x1000)).as_bytes()).is_ok() {}
    });
    in_time(&Asked::new().with("address", headers), "cannot be used");
    in_time(&Asked::new().with("address", pieces), "it is too long");
}

#[test]
fn json_that_is_deep_or_of_another_shape_is_refused() {
    let deep = "[".repeat(1_000_000);
    let objects = "{\"data\":".repeat(10_000);
    for (body, words) in [
        (deep, "cannot be used"),
        (objects, "cannot be used"),
        ("null".into(), "cannot be used"),
        ("[]".into(), "cannot be used"),
        ("{\"data\":{\"data\":[],\"metadata\":7}}".into(), "not what the API documents"),
        ("{\"data\":{\"certificate\":7}}".into(), "not what the API documents"),
        ("{\"data\":\"\u{1b}[2J\"}".into(), "cannot be used"),
    ] {
        let asked = Asked::new();
        asked.site.vault().server.fail("", Fault::Status(200, leaked(body)), ALWAYS);
        in_time(&asked, words);
    }
}

#[test]
fn another_hosts_certificate_gets_no_token_after_a_redirect() {
    let asked = Asked::new();
    let vault = &asked.site.vault().server;
    let other = vault.beside(Listener::OtherCa);
    vault.fail("", Fault::Redirect(other.address()), ALWAYS);
    in_time(&asked, "is not of the CA in [vault] ca_cert");
    assert!(other.requests().iter().all(|request| !request.contains("sign")), "{:?}", other.requests());
    // And none in clear, to a host that only listens.
    let (told, hears) = mpsc::channel();
    let listens = server(move |mut stream| told.send(heard(&mut stream)).unwrap());
    let asked = Asked::new();
    asked.site.vault().server.fail("", Fault::Redirect(listens), ALWAYS);
    in_time(&asked, "another scheme");
    assert!(hears.try_recv().is_err());
}

/// What Vault once said to one node, said to another, or for another key.
#[test]
fn a_certificate_for_another_key_or_another_node_is_not_handed_out() {
    let mut asked = Asked::new();
    asked.site.enrol("n2");
    asked.site.vault().write_role(&["n1".into(), "n2".into()]);
    let other = asked.site.slurm().run(&program("generate_csr"), &["n2"]).text();
    let server = &asked.site.vault().server;
    for (csr, name) in [(&other, "n2"), (&other, "n1")] {
        let answer = server.root(
            "POST",
            "pki/sign/slurm",
            json!({ "csr": csr, "common_name": name, "alt_names": name, "exclude_cn_from_sans": true, "ttl": "1h" }),
        );
        server.fail("pki/", Fault::Status(200, leaked(answer.to_string())), 1);
        asked.sign_fails("the certificate that was made is not handed out");
        server.recover();
    }
}

#[test]
fn a_chain_of_thousands_is_refused_in_time() {
    let asked = Asked::new();
    let server = &asked.site.vault().server;
    let body =
        json!({ "csr": asked.csr, "common_name": "n1", "alt_names": "n1", "exclude_cn_from_sans": true });
    let mut answer = server.root("POST", "pki/sign/slurm", body);
    let one = answer["data"]["issuing_ca"].clone();
    answer["data"]["ca_chain"] = json!(vec![one; 2000]);
    server.fail("pki/", Fault::Status(200, leaked(answer.to_string())), ALWAYS);
    let begun = Instant::now();
    asked.sign_fails("more certificates than any chain has");
    assert!(begun.elapsed() < LIMIT);
}

#[test]
fn nothing_in_the_environment_leads_elsewhere() {
    let asked = Asked::new();
    let (told, hears) = mpsc::channel();
    let listens = server(move |mut stream| told.send(heard(&mut stream)).unwrap());
    let mut slurm = asked.site.slurm();
    for name in ["VAULT_ADDR", "BAO_ADDR", "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        slurm = slurm.with_env(name, &listens);
    }
    slurm = slurm.with_env("VAULT_TOKEN", "hvs.other").with_env("VAULT_SKIP_VERIFY", "1");
    slurm = slurm.with_env("PATH", asked.site.path("bin")).with_env("LD_PRELOAD", "/nowhere.so");
    assert!(slurm.run(&program("sign_csr"), &[&asked.csr]).answer().is_ok());
    assert!(hears.try_recv().is_err());
}

/// While it waits for an answer, another user of this host finds no secret in /proc, and nobody a token in its environment
/// or arguments.
#[test]
fn the_child_shows_nothing_in_proc() {
    let asked = Asked::new();
    asked.site.vault().server.fail("", Fault::Slow(Duration::from_secs(2)), ALWAYS);
    let mut parent = asked.site.slurm().command(&program("sign_csr"), &[&asked.csr]).spawn().unwrap();
    let begun = Instant::now();
    let child = loop {
        let children = format!("/proc/{0}/task/{0}/children", parent.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let is_it = |pid: &&str| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("slurm-pki-sig"))
        };
        match children.split_whitespace().find(is_it) {
            Some(pid) if asked.site.vault().server.requests().len() == 1 => break pid.to_owned(),
            _ if begun.elapsed() > Duration::from_secs(4) => panic!("no child"),
            _ => thread::sleep(Duration::from_millis(2)),
        }
    };
    for name in ["environ", "cmdline"] {
        let text = std::fs::read(format!("/proc/{child}/{name}")).unwrap_or_default();
        asked.shows_no_secret(&String::from_utf8_lossy(&text));
    }
    // Not dumpable: its folder in /proc is root's, so that not even its own user looks into its memory.
    let owner =
        std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(format!("/proc/{child}/mem")).unwrap());
    assert_eq!(owner, 0);
    let limits = std::fs::read_to_string(format!("/proc/{child}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let _ = parent.kill();
    let _ = parent.wait();
}
