//! Other programs that do the work of one of the seven, where they are installed: one process each, without a shell.

use std::path::Path;

use support::site::Site;
use support::slurm::Slurm;

use crate::scene::{Call, NODE};

/// What is not there is not measured.
pub(crate) fn installed(theirs: &Site) -> Vec<(&'static str, Call)> {
    let files = Files::write(theirs);
    let all = [files.openssl(), files.certtool(), files.cfssl()].concat();
    let there = all.into_iter().filter(|(_, words)| Path::new(words[0].as_str()).exists());
    there.map(|(whose, words)| (whose, call(&words))).collect()
}

/// The program that does the same, and a command line.
type Peer = (&'static str, Vec<String>);

fn call(words: &[String]) -> Call {
    let argv: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let name = words[0].rsplit('/').next().unwrap();
    let mut call = Call::new(&Slurm::bare(), name, words[0].clone().into(), &argv);
    call.is_talkative = true;
    call
}

/// What they read: a site's CA, a request, a key, and what a certificate is to say.
struct Files<'a>(&'a Site);

impl<'a> Files<'a> {
    fn write(theirs: &'a Site) -> Self {
        let run =
            |name: &str, argv: &[&str]| theirs.slurm().run(&support::programs::reference(name), argv).text();
        theirs.write("request.pem", run("generate_csr", &[NODE]).as_bytes(), 0o600);
        theirs.write("key.pem", run("keygen", &[]).as_bytes(), 0o600);
        let template = format!(
            "cn = \"{NODE}\"\ndns_name = \"{NODE}\"\nexpiration_days = 7\nsigning_key\ntls_www_server\ntls_www_client\n"
        );
        theirs.write("template", template.as_bytes(), 0o600);
        let request = format!(r#"{{"CN":"{NODE}","hosts":["{NODE}"],"key":{{"algo":"ecdsa","size":256}}}}"#);
        theirs.write("request.json", request.as_bytes(), 0o600);
        Self(theirs)
    }

    fn words(&self, line: &str) -> Vec<String> {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(file) => self.0.path(file).to_str().unwrap().to_owned(),
            None => word.to_owned(),
        };
        line.split(' ').map(word).collect()
    }

    fn openssl(&self) -> Vec<Peer> {
        let all = [
            ("keygen", "/usr/bin/openssl ecparam -name prime256v1 -genkey"),
            (
                "generate_csr",
                "/usr/bin/openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=n1",
            ),
            (
                "sign_csr",
                "/usr/bin/openssl x509 -req -in @request.pem -days 7 -CA @root_cert.pem -CAkey @root_key.pem -set_serial 77",
            ),
            ("certgen", "/usr/bin/openssl req -x509 -new -key @key.pem -days 400 -subj /CN=n1"),
        ];
        all.map(|(whose, line)| (whose, self.words(line))).to_vec()
    }

    fn certtool(&self) -> Vec<Peer> {
        let all = [
            ("keygen", "/usr/bin/certtool --generate-privkey --key-type ecdsa --curve secp256r1 --no-text"),
            (
                "generate_csr",
                "/usr/bin/certtool --generate-request --load-privkey @key.pem --template @template --no-text",
            ),
            (
                "sign_csr",
                "/usr/bin/certtool --generate-certificate --load-request @request.pem --load-ca-certificate @root_cert.pem --load-ca-privkey @root_key.pem --template @template --no-text",
            ),
            (
                "certgen",
                "/usr/bin/certtool --generate-self-signed --load-privkey @key.pem --template @template --no-text",
            ),
        ];
        all.map(|(whose, line)| (whose, self.words(line))).to_vec()
    }

    /// genkey and selfsign make a key as well.
    fn cfssl(&self) -> Vec<Peer> {
        let all = [
            ("generate_csr", "/usr/bin/cfssl genkey @request.json"),
            ("sign_csr", "/usr/bin/cfssl sign -ca @root_cert.pem -ca-key @root_key.pem @request.pem"),
            ("certgen", "/usr/bin/cfssl selfsign n1 @request.json"),
        ];
        all.map(|(whose, line)| (whose, self.words(line))).to_vec()
    }
}
