//! What people do to a file between `enable` and `disable`, and where `enable` was never run.

use crate::apart::apart;
use crate::scratch::text;
use crate::site::{DISABLE, ENABLE, disabled, files, with_sample, with_text};

#[test]
fn edits_of_others_survive_wherever_they_are() {
    apart!({
        let site = with_text("ClusterName=c1\nDebugFlags=Gres\nNodeName=n1 CPUs=1");
        site.done(&ENABLE);
        let text =
            site.read("slurm.conf").replace("CPUs=1", "CPUs=2").replace("# END", "MailProg=/bin/true\n# END");
        site.write("slurm.conf", &format!("# new head\n{text}NodeName=n2 CPUs=1\n"), 0o644);
        site.done(&DISABLE);
        assert_eq!(
            site.read("slurm.conf"),
            "# new head\nClusterName=c1\nDebugFlags=Gres\nNodeName=n1 CPUs=2\nMailProg=/bin/true\nNodeName=n2 CPUs=1\n"
        );
    });
}

#[test]
fn of_a_value_that_was_changed_since_only_what_is_ours_goes() {
    apart!({
        let site = with_text("ClusterName=c1\nDebugFlags=Gres\nTLSParameters=load_system_certificates\n");
        site.done(&ENABLE);
        let text = site.read("slurm.conf");
        let text = text.replacen("DebugFlags=Gres,AuditTLS", "DebugFlags=Gres,AuditTLS,TLS,Backfill", 1);
        let text = text.replacen(
            "TLSParameters=load_system",
            "TLSParameters=security_policy_version=1,load_system",
            1,
        );
        let text = text.replacen("certificate_renewal_period=1440", "certificate_renewal_period=720", 1);
        site.write("slurm.conf", &text, 0o644);
        site.done(&DISABLE);
        assert_eq!(site.read("slurm.conf"), "ClusterName=c1\nDebugFlags=Gres,Backfill\n");
    });
}

#[test]
fn where_it_was_never_enabled_our_keys_go_and_nothing_else() {
    apart!({
        let site = with_text(
            "ClusterName=c1 tlstype=tls/s2n # head\nTLSParameters=a=/b\n# note\nCertmgrType=certmgr/script \\\n  \
             CertmgrParameters=x=/y SlurmUser=slurm\nCertgenType=certgen/script\r\nCertgenParameters=x=/y\n\
             DebugFlags=TLS,Gres,AuditTLS # flags\nNodeName=n1 CPUs=1\n",
        );
        site.done(&DISABLE);
        assert_eq!(
            site.read("slurm.conf"),
            "ClusterName=c1 # head\n# note\n\\\n  SlurmUser=slurm\nDebugFlags=Gres # flags\nNodeName=n1 CPUs=1\n"
        );
        let (_, said) = site.done(&DISABLE);
        assert!(said.contains("nothing to change"), "{said}");
    });
}

#[test]
fn what_stood_there_before_enable_is_named_and_goes_when_asked_for() {
    apart!({
        let site = with_sample("half_enabled.conf");
        let before = files(&site);
        site.done(&ENABLE);
        let dry = site.run(&["conf", "disable", "--dry-run"]);
        assert_eq!(dry.status.code(), Some(1));
        assert!(text(&dry.stderr).contains("TLS stays on with that; "), "{}", text(&dry.stderr));
        let (_, said) = disabled(&site, &DISABLE, true);
        assert!(
            said.contains("TLS is still on; still there, and not by conf enable: CertgenType, TLSType"),
            "{said}"
        );
        assert!(said.contains("hint: slurm-pki conf disable --all --offline takes them out too"), "{said}");
        assert_eq!(files(&site), before);
        let (_, said) = site.done(&[&DISABLE[..], &["--all"]].concat());
        assert!(!said.contains("still"), "{said}");
        let text = site.read("slurm.conf");
        assert!(!text.contains("TLSType") && text.contains("# tried on a Friday\n"), "{text}");
    });
}

#[test]
fn flags_that_stood_there_before_are_named_without_their_neighbours() {
    apart!({
        let site = with_sample("debug_flags.conf");
        let before = files(&site);
        site.done(&ENABLE);
        let (_, said) = disabled(&site, &DISABLE, false);
        assert!(
            said.contains(
                "TLS is off; still there, and not by conf enable: DebugFlags=TLS (conf disable --all"
            ),
            "{said}"
        );
        assert_eq!(files(&site), before);
        site.done(&[&DISABLE[..], &["--all"]].concat());
        assert!(site.read("slurm.conf").contains("\nDebugFlags=NO_CONF_HASH,Gres "));
    });
}

/// Slurm takes the last one, wherever it stands.
#[test]
fn a_type_that_does_not_count_keeps_nothing_on() {
    apart!({
        for (included, last, was_on) in [("tls/s2n", "none", false), ("none", "tls/s2n", true)] {
            let site = with_text(&format!("ClusterName=c1\nInclude more.inc\nTLSType={last}\n"));
            site.write("more.inc", &format!("TLSType={included}\n"), 0o644);
            site.done(&ENABLE);
            let (_, said) = disabled(&site, &DISABLE, was_on);
            assert!(said.contains("still there, and not by conf enable: TLSType"), "{said}");
            assert_eq!(site.read("more.inc"), format!("TLSType={included}\n"));
        }
    });
}

/// Then slurmdbd would speak TLS to a slurmctld without it.
#[test]
fn a_type_of_slurmdbds_own_keeps_tls_on_too() {
    apart!({
        let site = with_sample("plain.conf");
        site.write("slurmdbd.conf", "DbdHost=db1\nTLSType=tls/s2n\n", 0o600);
        site.done(&ENABLE);
        let (_, said) = disabled(&site, &DISABLE, true);
        assert!(said.contains("TLS is still on; still there, and not by conf enable: TLSType"), "{said}");
        assert!(!site.read("slurm.conf").contains("TLSType"));
    });
}

#[test]
fn a_second_disable_changes_nothing_of_others() {
    apart!({
        for sample in ["include.conf", "foreign_scripts.conf", "lower_case.conf"] {
            let site = with_sample(sample);
            let before = files(&site);
            site.done(&ENABLE);
            site.done(&DISABLE);
            let (_, said) = site.done(&DISABLE);
            assert!(said.contains("nothing to change"), "{sample}: {said}");
            assert_eq!(
                said.contains("TLS is off; still there"),
                sample != "include.conf",
                "{sample}: {said}"
            );
            assert_eq!(files(&site), before, "{sample}");
        }
    });
}

#[test]
fn a_damaged_note_of_ours_costs_no_key_of_others() {
    apart!({
        let site = with_text("ClusterName=c1\nDebugFlags=Gres\n");
        site.done(&ENABLE);
        site.write("slurm.conf", &site.read("slurm.conf").replace("\"was\":", "\"was"), 0o644);
        site.done(&DISABLE);
        assert_eq!(site.read("slurm.conf"), "ClusterName=c1\nDebugFlags=Gres\n");
    });
}

#[test]
fn a_place_of_ours_without_an_end_is_not_guessed_at() {
    apart!({
        let site = with_text("ClusterName=c1\n");
        site.done(&ENABLE);
        let text = site.read("slurm.conf").replace("# END slurm-pki", "#");
        site.write("slurm.conf", &text, 0o644);
        let moved = [&ENABLE[..], &["--programs", "/opt/slurm-pki"]].concat();
        for args in [&DISABLE[..], &moved] {
            let said = site.refused(args);
            assert!(said.contains("has no end") && said.contains(&site.text_path("slurm.conf")), "{said}");
        }
        assert_eq!(site.read("slurm.conf"), text);
    });
}

#[test]
fn moved_programs_are_followed_and_what_was_before_stays_known() {
    apart!({
        let site = with_text("ClusterName=c1\nCertgenParameters=keygen_script=/opt/site/keygen\n");
        let before = files(&site);
        site.done(&ENABLE);
        site.done(&[&ENABLE[..], &["--programs", "/opt/slurm-pki"]].concat());
        let text = site.read("slurm.conf");
        assert!(text.contains("certgen_script=/opt/slurm-pki/certgen"), "{text}");
        assert_eq!(text.matches("# slurm-pki was ").count(), 1, "{text}");
        site.done(&DISABLE);
        assert_eq!(files(&site), before);
    });
}
