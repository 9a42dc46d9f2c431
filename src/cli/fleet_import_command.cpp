#include "commands.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/plausibility.hpp"
#include "hdap/fleet/telemetry.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "option_checks.hpp"

#include <cstdio>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct ImportOptions {
    fleet::ImportRequest request;
    std::string output;
    std::string unit;
    std::string device;
    std::string benchmark;
    std::string warm_up;
    std::string max_rejected = "1%";
};

fleet::ImportRequest request_of(const ImportOptions& options) {
    fleet::ImportRequest request = options.request;
    request.rejected = fleet::parse_reject_limit(options.max_rejected);
    if (!options.unit.empty()) request.unit = unit_option(options.unit);
    if (!options.device.empty()) request.device = options.device;
    if (!options.benchmark.empty()) request.benchmark = options.benchmark;
    if (!options.warm_up.empty()) request.warm_up = fleet::parse_warm_up(options.warm_up);
    return request;
}

fleet::Fleet import_with_progress(const fleet::ImportRequest& request,
                                  fleet::ImportReport& report) {
    constexpr std::int64_t megabyte = 1'000'000;
    core::Log log({.terminal = core::Log::stderr_is_terminal()});
    core::Progress progress(log);
    return fleet::import_telemetry(request, &report, [&](std::int64_t done, std::int64_t total) {
        if (total < 100 * megabyte) return; // over in a second
        progress.show({.stage = "import",
                       .position = {},
                       .done = done / megabyte,
                       .total = total / megabyte,
                       .unit = "MB",
                       .detail = {}});
    });
}

void print_import(const ImportOptions& options, const fleet::Fleet& imported,
                  const fleet::ImportReport& report) {
    std::printf("%s: %s × %s from %s%s\n", options.output.c_str(),
                core::counted(imported.devices(), "device").c_str(),
                core::counted(imported.benchmarks(), "benchmark").c_str(),
                core::counted(report.runs, "measurement").c_str(),
                report.files == 1 ? "" : (" in " + core::counted(report.files, "file")).c_str());
    for (const fleet::LatencyOrigin& origin : imported.origins)
        std::printf("  %s: %s, in %s; left out as warm-up: %s\n", origin.tool.c_str(),
                    origin.statistic.c_str(), origin.unit.c_str(), origin.warm_up.c_str());
    std::fflush(stdout);
    for (const std::string& remark : report.remarks)
        std::fprintf(stderr, "note: %s\n", remark.c_str());
    for (const std::string& doubt : report.doubts)
        std::fprintf(stderr, "warning: %s\n", doubt.c_str());
    if (report.rejected_rows > 0)
        std::fprintf(stderr, "warning: left out %s of %s that cannot be used: %s\n",
                     core::grouped(report.rejected_rows).c_str(),
                     core::counted(report.rows, "row").c_str(), report.rejected_text.c_str());
    for (const std::string& doubt : fleet::doubts_about(imported))
        std::fprintf(stderr, "warning: %s: %s\n", options.output.c_str(), doubt.c_str());
}

ExitCode import(const ImportOptions& options) {
    check_output_file("OUT", options.output, {options.request.source});
    fleet::ImportReport report;
    const fleet::Fleet imported = import_with_progress(request_of(options), report);
    storage::Hdf5Writer file;
    storage::write_identity(
        file, {.schema = fleet::fleet_schema, .config_sha256 = "", .input_sha256 = ""});
    fleet::write_fleet(file, imported);
    storage::write_sealed(options.output, file.finish());
    print_import(options, imported, report);
    return ExitCode::complete;
}

/// The formats as lines of the help.
std::string formats_text() {
    std::string text = "Formats:\n";
    for (const fleet::TelemetryFormatInfo& format : fleet::telemetry_formats())
        text += "  " + core::padded_right(format.name, 22) + format.what + "\n";
    return text;
}

void add_options(CLI::App& command, ImportOptions& options) {
    fleet::ImportRequest& request = options.request;
    command
        .add_option("SOURCE", request.source,
                    "File, or files: in quotes, with {device}, {benchmark} and * in the path")
        ->required();
    command.add_option("OUT", options.output, "HDF5 file to write (hdap-fleet/1)")->required();
    command.add_option("--sku", request.sku, "What the label on the devices says")->required();
    command.add_option("--format", request.format, "One of those below")->capture_default_str();
    command.add_option("--unit", options.unit,
                       "Of latencies whose file does not tell it: s, ms, us or ns");
    command.add_option("--device", options.device,
                       "The device, where neither file nor path tells it");
    command.add_option("--benchmark", options.benchmark,
                       "The benchmark, where neither file nor path tells it");
    command
        .add_option("--benchmarks", request.benchmarks,
                    "Read only these benchmarks, separated by commas")
        ->delimiter(',');
    command.add_option("--conditions", request.conditions,
                       "Files of conditions, such as tegrastats' 'logs/{device}/tegrastats.log'");
    command.add_option("--warm-up", options.warm_up,
                       "What a log's beginning is not counted: 200ms, or a number of inferences");
    command.add_option("--metric", request.metric,
                       "Of Prometheus' text: the metric with NAME_sum and NAME_count to read");
    command
        .add_option("--max-rejected", options.max_rejected,
                    "Leave out up to so many rows that cannot be used, or such a share of all "
                    "(5%), and count them; more are an error")
        ->capture_default_str();
    command.add_flag("--any-unit", request.any_unit,
                     "Import devices or benchmarks, too, that seem to be in another unit");
    command.footer(formats_text() + command.get_footer());
}

} // namespace

void add_fleet_import_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<ImportOptions>();
    CLI::App* command = add_command(
        group, "import", "Read measured latencies: tables, and what tools wrote on the devices.",
        "hdap fleet import measurements.csv fleet.h5 --sku 'Jetson Xavier NX'\n"
        "  hdap fleet import 'logs/{device}/{benchmark}.json' fleet.h5 --sku 'Jetson Xavier NX'");
    add_options(*command, *options);
    command->callback(
        [options, &action] { action = [options](Arguments) { return import(*options); }; });
}

} // namespace hdap::cli
