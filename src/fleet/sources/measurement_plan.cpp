#include "fleet/sources/measurement_plan.hpp"

#include "fleet/csv_reader.hpp"
#include "hdap/core/csv.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/load.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace hdap::fleet {
namespace {

namespace fs = std::filesystem;

using State = PlannedMeasurement::State;

constexpr std::string_view state_names[] = {"outstanding", "measured", "failed"};

/// A tool that people measure with, and how it is called in a script.
struct Tool {
    std::string_view name;
    std::string_view ending; ///< of what it writes
    /// The shell's variables network and out stand for files; {shape}, {input}, … for numbers.
    std::string_view command;
    /// The same under continuous load, for $seconds; empty where a tool would count the
    /// time in which the device heats up.
    std::string_view sustained = {};
};
constexpr Tool tools[] = {
    {"trtexec", "json",
     "trtexec --onnx=\"$network\" --shapes={input}:{batch}x{channels}x{height}x{width} "
     "--warmUp=500 --iterations={runs} --exportTimes=\"$out\"",
     "ms=$(awk -v seconds=\"$seconds\" 'BEGIN {{ printf \"%d\", seconds * 1000 }}') && "
     "trtexec --onnx=\"$network\" --shapes={input}:{batch}x{channels}x{height}x{width} "
     "--warmUp=$((ms * 3 / 4)) --duration=$(((ms + 3999) / 4000)) --exportTimes=\"$out\""},
    {"onnxruntime", "txt",
     "onnxruntime_perf_test -m times -r {runs} -I -f N:{batch} \"$network\" \"$out\""},
    {"openvino", "json",
     "benchmark_app -m \"$network\" -shape \"[{batch},{channels},{height},{width}]\" -api sync "
     "-niter {runs} -json_stats -report_type no_counters -report_folder \"$folder\" && mv "
     "\"$folder/benchmark_report.json\" \"$out\""},
    {"hdap", "csv", "hdap network time \"$network\" --batch {batch} --runs {runs} --csv \"$out\"",
     "hdap network time \"$network\" --batch {batch} --sustained \"${{seconds}}s\" --quiet | awk "
     "'NF > 1 {{ ms = $(NF - 1) }} END {{ if (ms == \"\") exit 1; print \"latency_ms\"; print ms "
     "}}' >\"$out\""},
};

std::int64_t count_answered(const std::vector<PlannedMeasurement>& measurements) {
    return std::count_if(measurements.begin(), measurements.end(),
                         [](const auto& one) { return one.state != State::outstanding; });
}

/// What the script of a tool that cannot does about a candidate with seconds behind it.
constexpr const char* no_sustained_part = R"sh(    if [ -n "$seconds" ]; then
        echo "$candidate is for measure-hdap.sh or measure-trtexec.sh: {} would count the time" \
            "in which the device heats up" >&2
        continue
    fi
)sh";

/// A tool's command for this network.
std::string command_of(std::string_view text, const network::Network& network, std::int64_t batch,
                       std::int64_t runs) {
    const network::Node& input = network.nodes.front();
    return fmt::format(fmt::runtime(text), fmt::arg("input", input.name), fmt::arg("batch", batch),
                       fmt::arg("channels", input.output_channels),
                       fmt::arg("height", network.input_extent.height),
                       fmt::arg("width", network.input_extent.width), fmt::arg("runs", runs));
}

/// The script of a tool.
std::string script_of(const Tool& tool, const network::Network& network, std::int64_t batch,
                      std::int64_t runs) {
    const std::string command = command_of(tool.command, network, batch, runs);
    const std::string sustained = command_of(tool.sustained, network, batch, runs);
    return fmt::format(
        R"sh(#!/bin/sh
# Measures what a device lacks, with {0}. Copy this folder to the device and run there
#   sh measure-{0}.sh DEVICE
# DEVICE is a name in outstanding/, without .txt. It may be stopped and started again. Then copy
# results/ back, and call `hdap profile import`.
set -u
device=${{1:?which device? one of those in outstanding/}}
cd "$(dirname "$0")" || exit
[ -f "outstanding/$device.txt" ] || {{ echo "outstanding/$device.txt is missing" >&2; exit 2; }}
folder=results/$device
mkdir -p "$folder" "printed/$device"
measure() {{
    {2}
}}
measure_under_load() {{
    {3}
}}
# Seconds behind a candidate: it is measured under continuous load, for so long.
while read -r candidate seconds; do
    network=networks/$candidate.onnx
    out=$folder/$candidate.{1}
    [ -s "$out" ] && continue
{4}    how=measure${{seconds:+_under_load}}
    if $how >"printed/$device/$candidate.log" 2>&1 </dev/null && [ -s "$out" ]; then
        rm -f "$folder/$candidate.failed"
        echo "$candidate"
    else
        rm -f "$out"
        tail -n 1 "printed/$device/$candidate.log" >"$folder/$candidate.failed"
        echo "$candidate failed, see printed/$device/$candidate.log" >&2
    fi
done <"outstanding/$device.txt"
)sh",
        tool.name, tool.ending, command, sustained.empty() ? ":" : sustained,
        sustained.empty() ? fmt::format(no_sustained_part, tool.name) : "");
}

/// All that is in the plan, and what of it is there.
struct PlannedPairs {
    std::vector<PlannedMeasurement> all;
    std::int64_t answered = 0;
};

PlannedPairs pairs_of(const MeasurementPlan& plan) {
    PlannedPairs pairs{plan.all, 0};
    pairs.all.insert(pairs.all.end(), plan.of_others.begin(), plan.of_others.end());
    pairs.answered = count_answered(pairs.all);
    return pairs;
}

std::string manifest_of(const PlannedPairs& plan, std::int64_t batch, std::int64_t runs) {
    std::string text = "device,candidate,file,batch,runs,state,sustained_seconds\n";
    for (const PlannedMeasurement& one : plan.all)
        text += fmt::format("{},{},networks/{}.onnx,{},{},{},{}\n", core::csv_field(one.device),
                            one.candidate, one.candidate, batch, runs,
                            state_names[static_cast<std::size_t>(one.state)],
                            core::shortest(one.sustained_seconds));
    return text;
}

/// The lines about candidates that each device lacks; of some devices perhaps none.
using Outstanding = std::map<std::string, std::vector<std::string>>;

Outstanding outstanding_of(const PlannedPairs& plan) {
    Outstanding outstanding;
    for (const PlannedMeasurement& one : plan.all) {
        auto& candidates = outstanding[one.device];
        if (one.state != State::outstanding) continue;
        const bool under_load = one.sustained_seconds > 0.0;
        candidates.push_back(one.candidate +
                             (under_load ? " " + core::shortest(one.sustained_seconds) : ""));
    }
    return outstanding;
}

bool any_under_load(const PlannedPairs& plan) {
    return std::ranges::any_of(
        plan.all, [](const PlannedMeasurement& one) { return one.sustained_seconds > 0.0; });
}

constexpr const char* under_load_text =
    "Some are to be measured under continuous load: those with a number of seconds behind\n"
    "their name in a list, and in the column sustained_seconds of manifest.csv. Run such a\n"
    "network for so long without a pause; its latency is the median of the last quarter of\n"
    "that time, when the device is as hot as it gets. measure-hdap.sh and measure-trtexec.sh\n"
    "do so. The scripts for onnxruntime and openvino leave these out: both tools would count\n"
    "the time in which the device heats up.\n\n";

std::string readme_of(const PlannedPairs& plan, const Outstanding& outstanding,
                      const std::string& import_options) {
    std::string text = fmt::format(
        "{} of {} measurements of candidates are there.\n\n"
        "On each device that outstanding/ has a list for, measure the networks in its list, by "
        "one\n"
        "of the scripts here (each says how) or by any other way, and write what the tool says to\n"
        "results/DEVICE/CANDIDATE.ENDING. Then\n\n"
        "    hdap profile import CONFIG{}\n\n"
        "reads all of results/ and says what is still outstanding; what waits for it goes on with\n"
        "the same command once enough is there. Networks have random weights, which do not change "
        "how long they take.\n"
        "Measure all of them with the batch in manifest.csv, and on each device under the same\n"
        "conditions.\n\n{}Outstanding:\n",
        core::grouped(plan.answered), core::grouped(plan.all.size()), import_options,
        any_under_load(plan) ? under_load_text : "");
    for (const auto& [device, candidates] : outstanding)
        if (!candidates.empty())
            text += fmt::format("  {}: {}\n", core::printable(device),
                                core::grouped(candidates.size()));
    return text;
}

/// The lists of what devices lack; those of devices that lack nothing are removed.
void write_outstanding(const fs::path& folder, const Outstanding& outstanding) {
    for (const auto& [device, candidates] : outstanding) {
        const fs::path file = folder / (as_file_name(device) + ".txt");
        if (candidates.empty())
            fs::remove(file);
        else
            storage::write_atomically(file, core::join(candidates, "\n") + "\n");
    }
}

void write_networks(const fs::path& folder, const MeasurementPlan& plan,
                    const network::Prunable& network, const std::string& format) {
    std::set<std::string> written;
    for (const DeviceQueue& queue : plan.outstanding)
        for (const CandidateToMeasure& candidate : queue.candidates) {
            if (!written.insert(candidate.name).second) continue;
            for (const std::string& ending : {std::string("onnx"), format}) {
                const fs::path file = folder / (candidate.name + "." + ending);
                if (!fs::exists(file))
                    network::save_network(file, network.prune(candidate.genome),
                                          network.normalisation);
            }
        }
}

double seconds_in(const std::string& text) {
    const auto seconds = plain_number(text);
    if (!seconds || !(*seconds >= 0.0))
        throw BadLine("no seconds", fmt::format("sustained_seconds is {}", shown(text)));
    return *seconds;
}

State state_named(const std::string& name) {
    const auto found = std::find(std::begin(state_names), std::end(state_names), name);
    if (found == std::end(state_names))
        throw BadLine("no state", fmt::format("state is {}", shown(name)));
    return static_cast<State>(found - std::begin(state_names));
}

} // namespace

std::string as_file_name(const std::string& name) {
    std::string text;
    for (const char c : name) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '_' ||
                           ((c == '.' || c == '-') && !text.empty());
        text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return text;
}

std::int64_t MeasurementPlan::answered() const {
    return count_answered(all);
}

void write_plan(const fs::path& folder, const MeasurementPlan& plan,
                const network::Prunable& network, const std::string& format, std::int64_t batch,
                std::int64_t runs) {
    for (const char* const name : {"networks", "outstanding", "results"}) {
        std::error_code error;
        fs::create_directories(folder / name, error);
        if (error)
            throw core::InternalError(
                fmt::format("{}: {}", (folder / name).string(), error.message()));
    }
    write_networks(folder / "networks", plan, network, format);
    const PlannedPairs pairs = pairs_of(plan);
    const Outstanding outstanding = outstanding_of(pairs);
    write_outstanding(folder / "outstanding", outstanding);
    for (const Tool& tool : tools)
        storage::write_atomically(folder / fmt::format("measure-{}.sh", tool.name),
                                  script_of(tool, network.network, batch, runs));
    storage::write_atomically(folder / manifest_file, manifest_of(pairs, batch, runs));
    storage::write_atomically(folder / "README.txt",
                              readme_of(pairs, outstanding, plan.import_options));
}

std::vector<PlannedMeasurement> others_in_manifest(const fs::path& folder,
                                                   const MeasurementPlan& plan) {
    std::error_code unreachable;
    if (!fs::exists(folder / manifest_file, unreachable)) return {};
    std::set<std::pair<std::string, std::string>> ours;
    for (const PlannedMeasurement& one : plan.all)
        ours.emplace(one.device, one.candidate);
    std::vector<PlannedMeasurement> others = read_manifest(folder);
    std::erase_if(others, [&](const PlannedMeasurement& one) {
        return ours.contains({one.device, one.candidate});
    });
    return others;
}

std::vector<PlannedMeasurement> read_manifest(const fs::path& folder) {
    const fs::path file = folder / manifest_file;
    if (!fs::exists(file))
        throw core::DataError(file.string() +
                              " is missing: `hdap profile plan CONFIG` makes it, and what devices "
                              "are to measure");
    std::ifstream input = open_csv(file);
    CsvReader csv(input, file.string(), "device,candidate,state");
    const std::size_t device = csv.column("device");
    const std::size_t candidate = csv.column("candidate");
    const std::size_t state = csv.column("state");
    const auto seconds = csv.find("sustained_seconds"); // older plans have no such column
    std::vector<PlannedMeasurement> all;
    BadLines bad(file.string());
    csv.read_lines(bad, [&](std::span<const std::string> fields) {
        all.push_back({fields[device], fields[candidate], state_named(fields[state]),
                       seconds ? seconds_in(fields[*seconds]) : 0.0});
    });
    bad.check(csv.lines(), 0, "make the plan again with `hdap profile plan`");
    return all;
}

} // namespace hdap::fleet
