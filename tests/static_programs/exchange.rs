//! One whole exchange: what each program is given, and whether its answer is one.

use pki::csr::Csr;
use pki::key::PrivateKey;
use pki::x509::X509;
use support::programs::SEVEN;
use support::site::Site;

/// The site of node n1, and what the programs have answered so far.
pub(crate) struct Exchange {
    pub(crate) site: Site,
    request: String,
    key: String,
}

impl Exchange {
    pub(crate) fn new() -> Self {
        let mut site = Site::new();
        site.enrol("n1");
        Self { site, request: String::new(), key: String::new() }
    }

    /// Has each of the seven run by `run`, in the order in which Slurm runs them, and looks at the answers.
    pub(crate) fn run(&mut self, mut run: impl FnMut(&Site, &'static str, &[&str]) -> String) {
        for program in SEVEN {
            let token = self.site.token("n1");
            let argv = match program {
                "validate_node_token" => vec!["n1", &token],
                "sign_csr" => vec![self.request.as_str()],
                "keygen" => vec![],
                "certgen" => vec![self.key.as_str()],
                _ => vec!["n1"],
            };
            let answer = run(&self.site, program, &argv);
            self.take(program, answer);
        }
    }

    #[track_caller]
    fn take(&mut self, program: &str, answer: String) {
        let key = |text: &str| PrivateKey::from_pem(text.as_bytes()).expect("a key").public().unwrap();
        let certificate =
            |text: &str| X509::all_from_pem(text.as_bytes(), text.len()).expect("a certificate");
        match program {
            "get_node_token" => assert_eq!(answer, self.site.token("n1")),
            "generate_csr" => self.request = answer,
            "get_cert_key" => assert_eq!(key(&answer).spki(), self.requested_key()),
            "validate_node_token" => assert_eq!(answer, ""),
            "sign_csr" => assert_eq!(certificate(&answer)[0].facts().spki, self.requested_key()),
            "keygen" => self.key = answer,
            _ => assert_eq!(certificate(&answer)[0].facts().spki, key(&self.key).spki()),
        }
    }

    fn requested_key(&self) -> Vec<u8> {
        Csr::parse(self.request.as_bytes()).expect("a request").key().spki().to_vec()
    }
}
