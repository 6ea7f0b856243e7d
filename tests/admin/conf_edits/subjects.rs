//! TLS, JWT and auth/slurm in one file: each is turned on and off by itself.

use std::fs;

use crate::apart::apart;
use crate::scratch::Scratch;
use crate::site::{
    DISABLE, Files, disabled, files, is_on, samples, slurm_pki, value, with_sample, with_text,
};
use crate::still::Daemon;

const JWKS: &str = r#"{"keys":[{"kty":"RSA","alg":"RS256","kid":"a","n":"AQAB","e":"AQAB"}]}"#;

/// The keys that JWT and auth/slurm need.
fn with_keys(site: &Scratch) {
    for name in ["jwt.key", "slurm.key"] {
        site.write(name, "0123456789abcdef0123456789abcdef", 0o600);
    }
    site.write("jwks.json", JWKS, 0o644);
}

fn sample(name: &str) -> Scratch {
    let site = with_sample(name);
    with_keys(&site);
    site
}

/// Runs `conf TURN` for a subject.
#[track_caller]
fn turn(site: &Scratch, turn: &str, subject: &str) -> (String, String) {
    let key = site.text_path("jwt.key");
    let mut args = vec!["conf", turn, "--yes", "--offline"];
    match subject {
        "jwt" if turn == "enable" => {
            args.extend(["--jwt", "--jwt-key", &key, "--max-token-lifespan", "3600"]);
        }
        "jwt" => args.push("--jwt"),
        "auth-slurm" => args.push("--auth-slurm"),
        _ => {}
    }
    site.done(&args)
}

/// Runs `conf disable` for a subject that was on before `enable`, or was not.
#[track_caller]
fn turn_off(site: &Scratch, subject: &str, was_on: bool) {
    let option = format!("--{subject}");
    let mut args = DISABLE.to_vec();
    args.extend((subject != "tls").then_some(option.as_str()));
    disabled(site, &args, was_on);
}

#[track_caller]
fn jwt(site: &Scratch, more: &[&str]) -> (String, String) {
    site.done(&[&["conf", "enable", "--yes", "--offline", "--jwt"][..], more].concat())
}

fn is(files: &Files, file: &str, key: &str) -> String {
    value(files, file, key).unwrap_or_default()
}

#[test]
fn every_sample_comes_back_byte_by_byte_whatever_goes_first() {
    apart!({
        let orders =
            [["tls", "jwt", "auth-slurm"], ["auth-slurm", "tls", "jwt"], ["jwt", "auth-slurm", "tls"]];
        let mut names: Vec<_> = fs::read_dir(samples())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name.ends_with(".conf"));
        for (name, order) in names.iter().zip(orders.iter().cycle()) {
            let site = sample(name);
            let mut states = vec![files(&site)];
            for subject in order {
                turn(&site, "enable", subject);
                states.push(files(&site));
            }
            let on = states.pop().unwrap();
            assert!(is(&on, "slurm.conf", "AuthAltTypes").contains("auth/jwt"), "{name}");
            assert_eq!(is(&on, "slurm.conf", "AuthType"), "auth/slurm", "{name}");
            assert_eq!(is(&on, "slurm.conf", "CredType"), "cred/slurm", "{name}");
            assert_eq!(is(&on, "slurmdbd.conf", "AuthType"), "auth/slurm", "{name}");
            // The last that came goes: what was before it is there again.
            let was_on = |subject: &str| is_on(&states[0], subject);
            turn_off(&site, order[2], was_on(order[2]));
            assert_eq!(files(&site), states[2], "{name}: without {}", order[2]);
            turn(&site, "enable", order[2]);
            assert_eq!(files(&site), on, "{name}: once more");
            // The first goes first.
            for subject in order {
                turn_off(&site, subject, was_on(subject));
            }
            assert_eq!(files(&site), states[0], "{name}");
        }
    });
}

#[test]
fn jwt_is_merged_with_other_ways_in_and_slurmdbd_is_told_what_it_reads() {
    apart!({
        let site = sample("other_ways_in.conf");
        let (key, jwks) = (site.text_path("jwt.key"), site.text_path("jwks.json"));
        let claim = [
            "--userclaimfield",
            "preferred_username",
            "--max-token-lifespan",
            "60",
            "--disable-token-creation",
        ];
        jwt(&site, &[&["--jwt-key", &key, "--jwks", &jwks][..], &claim].concat());
        let now = files(&site);
        assert_eq!(is(&now, "slurm.conf", "AuthAltTypes"), "auth/none,auth/jwt");
        assert_eq!(
            is(&now, "slurm.conf", "AuthAltParameters"),
            format!(
                "use_jwt_client_ids,jwks={jwks},jwt_key={key},userclaimfield=preferred_username,max_token_lifespan=60,\
                 disable_token_creation"
            )
        );
        assert_eq!(is(&now, "slurmdbd.conf", "AuthAltTypes"), "auth/jwt");
        assert_eq!(
            is(&now, "slurmdbd.conf", "AuthAltParameters"),
            format!("jwt_key={key},jwks={jwks},userclaimfield=preferred_username")
        );
        assert_eq!(is(&now, "slurm.conf", "AuthType"), "auth/munge");
    });
}

#[test]
fn a_list_alone_switches_hs256_off_and_says_so() {
    apart!({
        let site = sample("other_ways_in.conf");
        let before = files(&site);
        let jwks = site.text_path("jwks.json");
        let (_, said) = jwt(&site, &["--jwks", &jwks]);
        assert!(said.contains("warning: slurm.conf: jwks= without jwt_key= switches HS256 off"), "{said}");
        assert!(!is(&files(&site), "slurm.conf", "AuthAltParameters").contains("jwt_key"));
        turn(&site, "disable", "jwt");
        assert_eq!(files(&site), before);
        let (_, said) = jwt(&site, &["--jwks", &jwks, "--jwt-key", &site.text_path("jwt.key")]);
        assert!(!said.contains("HS256"), "{said}");
        let (_, said) = jwt(&site, &["--without-jwt-key"]);
        assert!(said.contains("switches HS256 off"), "{said}");
        assert!(!is(&files(&site), "slurm.conf", "AuthAltParameters").contains("jwt_key"));
        turn(&site, "disable", "jwt");
        assert_eq!(files(&site), before);
    });
}

#[test]
fn a_key_that_daemons_would_die_of_is_refused() {
    apart!({
        let site = with_text("ClusterName=c1\nStateSaveLocation=STATE\nNodeName=n1\n");
        let text = site.read("slurm.conf").replace("STATE", &site.text_path(""));
        site.write("slurm.conf", &text, 0o644);
        let before = files(&site);
        let refused = |args: &[&str], wanted: &str| {
            let said = site.refused(&[&["conf", "enable", "--yes"][..], args].concat());
            assert!(said.contains(wanted), "{said}");
            assert_eq!(files(&site), before);
        };
        refused(&["--jwt"], "jwt_hs256.key: daemons that are told of it die without it");
        site.write("jwt_hs256.key", "0123456789abcdef0123456789abcdef", 0o604);
        refused(&["--jwt"], "its mode 0604 lets others in");
        refused(&["--jwt", "--offline"], "its mode 0604 lets others in");
        site.write("jwt_hs256.key", "0123456789abcdef0123456789abcdef", 0o400);
        site.write("jwks.json", "{\"keys\":[{\"kty\":\"RSA\"}]}", 0o644);
        refused(&["--jwt", "--jwks", &site.text_path("jwks.json")], "has no kid");
        refused(&["--auth-slurm"], "with auth/slurm no daemon starts");
        site.write("slurm.jwks", "{\"keys\":[{}]}", 0o600);
        refused(&["--auth-slurm"], "daemons do not start with it");
        fs::remove_file(site.path("jwt_hs256.key")).unwrap();
        let (_, said) = jwt(&site, &[]);
        assert!(said.contains("is not there; daemons that are told of it die without it"), "{said}");
    });
}

#[test]
fn tokens_are_turned_on_while_slurm_runs_and_auth_slurm_is_not() {
    apart!({
        let site = sample("other_ways_in.conf");
        let daemon = Daemon::start(&site, "slurmctld");
        turn(&site, "enable", "jwt");
        let (shown, _) = turn(&site, "disable", "jwt");
        assert!(
            shown.contains("scontrol reconfigure") && shown.contains("systemctl restart slurmdbd"),
            "{shown}"
        );
        let said = site.refused(&["conf", "enable", "--auth-slurm", "--yes", "--offline"]);
        assert!(
            said.contains(
                "slurmctld of this host is up: auth/slurm cannot be turned on or off while Slurm runs"
            ),
            "{said}"
        );
        drop(daemon);
        turn(&site, "enable", "auth-slurm");
        let daemon = Daemon::start(&site, "slurmd");
        assert!(
            site.refused(&["conf", "disable", "--auth-slurm", "--yes"]).contains("slurmd of this host is up")
        );
        drop(daemon);
    });
}

#[test]
fn a_way_in_that_was_there_before_is_not_guessed_away() {
    apart!({
        let site = with_text("ClusterName=c1\nAuthType=auth/slurm\nCredType=cred/slurm\nNodeName=n1\n");
        let before = files(&site);
        let said = site.refused(&["conf", "disable", "--auth-slurm", "--yes", "--offline"]);
        assert!(said.contains("not by conf enable"), "{said}");
        assert_eq!(files(&site), before);
        site.done(&["conf", "disable", "--auth-slurm", "--all", "--yes", "--offline"]);
        assert_eq!(site.read("slurm.conf"), "ClusterName=c1\nNodeName=n1\n");
    });
}

#[test]
fn every_host_has_the_same_key_before_auth_slurm_comes() {
    apart!({
        let site = with_text("ClusterName=c1\nSlurmctldHost=ctl1\nNodeName=n[1-2]\nPluginDir=PLUGINS\n");
        with_keys(&site);
        fs::create_dir(site.path("plugins")).unwrap();
        let text = site.read("slurm.conf").replace("PLUGINS", &site.text_path("plugins"));
        site.write("slurm.conf", &text, 0o644);
        // n2 sees this folder as another: where a key is other than here.
        site.write(
            "reach",
            &format!(
                "#!/bin/sh\n[ $1 = n2 ] || exec sh -c \"$2\"\n\
                 exec sh -c \"$(echo \"$2\" | sed 's,sh$,sed s:{0}/slurm:{0}/n2:g | sh,')\"\n",
                site.path("").display().to_string().trim_end_matches('/')
            ),
            0o755,
        );
        let config = format!(
            "{}\n[fleet]\nrun = [\"{}\", \"{{host}}\", \"{{command}}\"]\nrestd = \"rest1\"\n",
            site.read("slurm-pki.toml"),
            site.text_path("reach")
        );
        site.write("slurm-pki.toml", &config, 0o644);
        let before = files(&site);
        let enable = ["conf", "enable", "--auth-slurm", "--yes"];
        let refused = |wanted: &str| {
            let said = site.refused(&enable);
            assert!(said.contains(wanted), "{said}");
            assert_eq!(files(&site), before);
        };
        refused("has no auth_slurm.so");
        site.write("plugins/auth_slurm.so", "", 0o644);
        refused("warning: n2: no auth/slurm key");
        site.write("n2.key", "another", 0o600);
        refused("warning: n2: another auth/slurm key than here");
        site.write("n2.key", &site.read("slurm.key"), 0o600);
        let (_, said) = site.done(&enable);
        assert!(site.read("slurm.conf").contains("AuthType=auth/slurm"), "{said}");
    });
}

#[test]
fn slurmrestds_environment_is_merged_and_comes_back() {
    apart!({
        for before in ["", "SLURMRESTD_OPTIONS=\"-u rest\"\nSLURM_JWT=\n", "OTHER='a b'\"c\"\nSLURM_JWT=x"] {
            let site = with_sample("plain.conf");
            site.write("restd", before, 0o640);
            let file = site.text_path("restd");
            let run =
                |turn: &str| site.done(&["conf", turn, "--jwt", "--restd", "--restd-file", &file, "--yes"]);
            run("enable");
            let script = format!(". {file}; printf %s \"$SLURM_JWT\"");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(output.stdout, b"daemon", "{}", site.read("restd"));
            run("disable");
            assert_eq!(site.read("restd"), before);
        }
    });
}

#[test]
fn a_slurmdbd_elsewhere_gets_its_lines_in_print() {
    apart!({
        let site = sample("other_ways_in.conf");
        fs::remove_file(site.path("slurmdbd.conf")).unwrap();
        let text = site.read("slurm.conf") + "AccountingStorageType=accounting_storage/slurmdbd\n";
        site.write("slurm.conf", &text, 0o644);
        let (shown, _) = turn(&site, "enable", "jwt");
        let key = site.text_path("jwt.key");
        assert!(shown.contains(&format!("\n  AuthAltParameters=jwt_key={key}")), "{shown}");
        assert!(shown.contains("Environment=SLURM_JWT=daemon"), "{shown}");
    });
}

#[test]
fn show_prints_what_enable_writes() {
    apart!({
        let site = sample("other_ways_in.conf");
        let key = site.text_path("jwt.key");
        let shown = site.json(&["conf", "show", "--jwt", "--jwt-key", &key], "slurm-pki.conf.show.auth.v1");
        jwt(&site, &["--jwt-key", &key]);
        let now = files(&site);
        for (file, lines) in
            [("slurm.conf", &shown["slurm_conf"]), ("slurmdbd.conf", &shown["slurmdbd_conf"])]
        {
            assert_eq!(lines.as_array().unwrap().len(), 2);
            for line in lines.as_array().unwrap() {
                let (key, wanted) = line.as_str().unwrap().split_once('=').unwrap();
                assert_eq!(is(&now, file, key), wanted);
            }
        }
        let (shown, _) = site.done(&["conf", "show", "--auth-slurm"]);
        assert!(shown.contains("AuthType=auth/slurm\nCredType=cred/slurm\n"), "{shown}");
    });
}

#[test]
fn options_of_one_are_no_options_of_another() {
    let site = with_sample("plain.conf");
    for args in [
        &["conf", "enable", "--jwt", "--auth-slurm"][..],
        &["conf", "enable", "--jwks", "/x"],
        &["conf", "enable", "--auth-slurm", "--static"],
        &["conf", "enable", "--restd"],
        &["conf", "enable", "--jwt", "--without-jwt-key"],
        &["conf", "enable", "--jwt", "--max-token-lifespan", "0"],
        &["conf", "enable", "--jwt", "--userclaimfield", "a,b"],
    ] {
        let output = slurm_pki(&site).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}");
    }
}
