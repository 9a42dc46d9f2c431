// docs/fleets.md, as a user would follow it.
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace hdap::test;

namespace fs = std::filesystem;

namespace {

/// The code blocks of a page in this language, in their order.
std::vector<std::string> blocks_of(const std::string& page, const std::string& language) {
    std::vector<std::string> blocks;
    const std::string begin = "```" + language + "\n";
    for (std::size_t at = page.find(begin); at != std::string::npos; at = page.find(begin, at)) {
        const std::size_t first = at + begin.size();
        at = page.find("```", first);
        blocks.push_back(page.substr(first, at - first));
    }
    return blocks;
}

/// Twelve devices of two kinds with three benchmarks each, in files as trtexec --exportTimes writes
/// them; one device lacks a benchmark.
void write_logs(const fs::path& folder) {
    for (int d = 0; d < 12; ++d)
        for (int b = 0; b < 3; ++b) {
            if (d == 5 && b == 2) continue;
            const auto file = folder / fmt::format("nx-{:02}", d) / fmt::format("net-{}.json", b);
            fs::create_directories(file.parent_path());
            const double ms = (4.0 + 7.0 * b) * (d % 4 == 0 ? 1.3 : 1.0) * (1.0 + 1e-4 * d);
            std::string text = "[\n";
            for (int run = 0; run < 40; ++run)
                text += fmt::format(
                    R"({}{{"startEnqMs": {}, "startComputeMs": {}, "h2dMs": 0.1, "computeMs": {}, )"
                    R"("d2hMs": 0.1, "latencyMs": {}}})",
                    run == 0 ? "" : ",\n", 10.0 * run, 10.0 * run, ms + 0.001 * (run % 7),
                    ms + 0.2 + 0.001 * (run % 7));
            std::ofstream(file) << text << "\n]\n";
        }
}

/// Stands in for trtexec, which needs a GPU: takes its options, and writes what it would, with
/// latencies that go by the size of the network's file and by the device's name.
const char* const trtexec = R"(#!/bin/sh
for option; do
    case $option in
    --onnx=*) network=${option#--onnx=} ;;
    --exportTimes=*) out=${option#--exportTimes=} ;;
    --iterations=*) runs=${option#--iterations=} ;;
    esac
done
bytes=$(wc -c <"$network") || exit 1
case $out in */nx-00/*|*/nx-04/*|*/nx-08/*) bytes=$((bytes * 13 / 10)) ;; esac
awk -v ms="$bytes" -v runs="$runs" 'BEGIN {
    printf "["
    for (i = 0; i < runs + 10; ++i)
        printf "%s{\"startComputeMs\": %d, \"latencyMs\": %.4f}", i ? "," : "", 30 * i, ms / 1e4
    print "]"
}' >"$out"
)";

} // namespace

TEST_CASE("docs/fleets.md takes a user from a folder of trtexec's files to an exported network") {
    const TinyStudy study;
    const fs::path folder = study.folder();
    write_logs(folder / "logs");
    fs::create_directory(folder / "bin");
    std::ofstream(folder / "bin/trtexec") << trtexec;
    fs::permissions(folder / "bin/trtexec", fs::perms::owner_all);
    fs::create_symlink(hdap_program(), folder / "bin/hdap");
    const std::string page = text_of(fs::path(HDAP_SOURCE_DIR) / "docs/fleets.md");
    const auto configurations = blocks_of(page, "toml");
    REQUIRE(configurations.size() == 3);
    std::ofstream(folder / "my-study.toml") << configurations[0];
    const auto commands = blocks_of(page, "sh");
    REQUIRE(commands.size() == 6);
    std::vector<std::string> printed;
    for (const std::string& block : commands) {
        const std::string script =
            fmt::format("cd '{0}' && PATH='{0}/bin':$PATH\n{1}", folder.string(), block);
        Process process({"/bin/sh", "-e", "-c", script}, {{"TMPDIR", (folder / "tmp").string()}});
        const Outcome outcome = process.wait();
        INFO(block << outcome.output << outcome.errors);
        REQUIRE(outcome.exit_code == 0);
        printed.push_back(outcome.output);
    }
    CHECK_THAT(printed[0], Catch::Contains("12 devices × 3 benchmarks") &&
                               Catch::Contains("trtexec --exportTimes"));
    CHECK_THAT(printed[2], Catch::Contains("measurements new") && !Catch::Contains("outstanding"));
    CHECK_THAT(printed[3], Catch::Contains("study my-study is complete"));
    CHECK_THAT(printed[4], Catch::Contains("measured on 12 devices") && Catch::Contains("uniform"));
    CHECK(fs::file_size(folder / "pruned.onnx") > 1000);
}
