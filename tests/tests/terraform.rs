//! The real Terraform with the demo provider, as a user runs it.
//!
//! Every scenario has a new directory with a store and temporary files. It checks the output and the state of Terraform, the
//! files in the store, and the trace log of Terraform. In every scenario, all plugins must exit by themselves and without
//! errors in the log, and no process or file may be left. Without `terraform`, the scenarios are skipped, unless the variable
//! `RPCPLUGIN_REQUIRE` contains `terraform`.
#![cfg(unix)]

#[path = "terraform/attached.rs"]
mod attached;
#[path = "terraform/endings.rs"]
mod endings;
#[path = "terraform/leftovers.rs"]
mod leftovers;
#[path = "terraform/lifecycle.rs"]
mod lifecycle;
#[path = "terraform/log.rs"]
mod log;
#[path = "terraform/messages.rs"]
mod messages;
#[path = "terraform/output.rs"]
mod output;
#[path = "terraform/values.rs"]
mod values;
#[path = "terraform/workdir.rs"]
mod workdir;

/// A test for each scenario, with the variables that it sets.
macro_rules! scenarios {
    ($($name:ident, $environment:expr, $run:path;)*) => {
        $(
            #[test]
            fn $name() {
                crate::workdir::scenario($environment, $run);
            }
        )*
    };
}

/// Scenarios about the connection, in one mode: a protocol version, with or without TLS.
macro_rules! mode {
    ($mode:ident, $environment:expr) => {
        mod $mode {
            scenarios! {
                lifecycle, $environment, crate::lifecycle::whole;
                data_sources, $environment, crate::values::data_sources;
                functions, $environment, crate::values::functions;
                ephemeral, $environment, crate::values::ephemeral;
                stdio, $environment, crate::output::stdio;
                crash, $environment, crate::endings::crash;
                panic, $environment, crate::endings::panic;
            }
        }
    };
}

mode!(protocol_6_mtls, &[]);
mode!(protocol_5_mtls, &[("DEMO_PROTOCOLS", "5")]);
mode!(protocol_6_plain, &[("TF_DISABLE_PLUGIN_TLS", "1")]);
mode!(protocol_5_plain, &[("TF_DISABLE_PLUGIN_TLS", "1"), ("DEMO_PROTOCOLS", "5")]);

scenarios! {
    each_command_makes_its_calls, &[], lifecycle::calls;
    variables_choose_version_and_security, &[], endings::modes;
    protocol_6_alone, &[("DEMO_PROTOCOLS", "6")], lifecycle::whole;
    things_that_another_program_changed, &[], lifecycle::drift;
    older_state_is_upgraded, &[], lifecycle::upgrade;
    import_of_nothing, &[], lifecycle::import_of_nothing;
    replacement_before_destruction, &[], lifecycle::create_before_destroy;
    values_of_every_kind, &[], values::every_kind;
    unknown_values, &[], values::unknown;
    an_attribute_of_12_mib, &[], values::large;
    errors_in_validation, &[], messages::validation;
    a_warning, &[], messages::warning;
    an_error_in_the_application_of_a_plan, &[], messages::application;
    an_error_of_a_function, &[], messages::function;
    an_error_in_the_block_of_the_provider, &[], messages::provider;
    no_store, &[("DEMO_STORE", "/dev/null/nowhere")], messages::no_store;
    log_levels, &[], output::levels;
    log_fields, &[], output::fields;
    no_log, &[("TF_LOG", "OFF")], lifecycle::whole;
    stop, &[], endings::stop;
    three_hundred_things_sixty_at_a_time, &[], endings::many;
    sockets_in_the_directory_of_a_variable, &[], endings::socket_directory;
    reattach_with_protocol_6, &[], attached::protocol_6;
    reattach_with_protocol_5, &[], attached::protocol_5;
    reattach_to_test_mode, &[], attached::test_mode;
    reattach_to_a_confined_provider, &[], attached::confined;
}
