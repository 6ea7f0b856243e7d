//! The suite, once for every line-up.

/// One module of tests that runs the whole suite on a line-up.
macro_rules! line_up {
    ($name:ident, $line_up:expr) => {
        line_up! { $name, $line_up,
            the_token_has_no_newline_and_is_what_validate_accepts,
            the_request_is_for_the_name_and_signed_by_its_own_key,
            the_key_is_that_of_the_latest_request_however_often_asked,
            validate_refuses_every_token_but_the_right_one,
            validate_refuses_a_request_without_a_token,
            validate_refuses_every_name_but_the_right_one,
            the_certificate_is_for_the_request_and_every_peer_accepts_it,
            the_same_request_is_signed_again,
            a_request_that_was_changed_is_refused,
            a_request_for_a_node_that_is_not_enrolled_is_refused,
            a_name_that_is_none_stands_for_the_host,
            a_client_command_gets_a_key_and_a_certificate_that_is_its_own_anchor,
            certgen_takes_the_key_on_stdin_too,
            certgen_takes_the_stock_keygens_key,
            thirty_two_exchanges_at_once_do_not_disturb_each_other,
        }
    };
    ($name:ident, $line_up:expr, $($behaviour:ident,)*) => {
        mod $name {
            use crate::cluster::LineUp;
            use crate::suite;
            $(
                #[test]
                fn $behaviour() {
                    suite::$behaviour($line_up);
                }
            )*
        }
    };
}

line_up!(all_seven, LineUp::ours());
line_up!(all_seven_in_vault, LineUp::ours_in_vault());
line_up!(all_seven_on_schedmds_layout, LineUp::ours_on_schedmds_layout());
line_up!(reference_scripts, LineUp::reference());
line_up!(our_get_node_token_alone, LineUp::only("get_node_token"));
line_up!(our_generate_csr_alone, LineUp::only("generate_csr"));
line_up!(our_get_cert_key_alone, LineUp::only("get_cert_key"));
line_up!(our_validate_node_token_alone, LineUp::only("validate_node_token"));
line_up!(our_sign_csr_alone, LineUp::only("sign_csr"));
line_up!(our_keygen_alone, LineUp::only("keygen"));
line_up!(our_certgen_alone, LineUp::only("certgen"));
line_up!(all_but_generate_csr, LineUp::all_but("generate_csr"));
line_up!(all_but_sign_csr, LineUp::all_but("sign_csr"));
