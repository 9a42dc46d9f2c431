#include "study/failed_candidates.hpp"

#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

using namespace hdap;
using study::FailedCandidates;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::set<std::string> files_in(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
        names.insert(entry.path().filename().string());
    return names;
}

const accuracy::FailureEvidence evidence{.reason = "printed 'nan' last",
                                         .output = "stdout:\nloading\nnan\n",
                                         .network = std::string("ONNX\0bytes", 10),
                                         .format = "onnx"};

struct Kept {
    test::TemporaryFolder folder;
    core::Log log{{.quiet = true}};
    FailedCandidates candidates{folder / "failed", log};
};

} // namespace

TEST_CASE("a failed candidate is kept with its file, its genome and what was printed") {
    Kept kept;
    kept.candidates.forget_from(0); // no folder yet
    CHECK_FALSE(fs::exists(kept.folder / "failed"));
    kept.candidates.keep(17, {8, 16}, evidence);
    const fs::path failed = kept.folder / "failed";
    CHECK(text_of(failed / "candidate-00017.onnx") == evidence.network);
    CHECK(text_of(failed / "candidate-00017.json") == "[8, 16]\n");
    CHECK_THAT(text_of(failed / "candidate-00017.txt"), Catch::Contains("printed 'nan' last") &&
                                                            Catch::Contains("genome: [8, 16]") &&
                                                            Catch::Contains("loading\nnan"));
}

TEST_CASE("no more failed candidates are kept than a folder should hold, over all jobs") {
    Kept kept;
    for (std::size_t row = 0; row < 8; ++row)
        kept.candidates.keep(row, {8}, evidence);
    FailedCandidates next(kept.folder / "failed", kept.log);
    next.forget_from(100);
    for (std::size_t row = 100; row < 120; ++row)
        next.keep(row, {8}, evidence);
    CHECK(files_in(kept.folder / "failed").size() == 3 * FailedCandidates::most_kept);
}

TEST_CASE("what is evaluated again is forgotten, and nothing else in the folder") {
    Kept kept;
    for (const std::size_t row : {3, 12, 20})
        kept.candidates.keep(row, {8}, evidence);
    std::ofstream(kept.folder / "failed" / "candidate-x.txt") << "a note of the user's";
    kept.candidates.forget_from(12);
    CHECK(files_in(kept.folder / "failed") ==
          std::set<std::string>{"candidate-00003.json", "candidate-00003.onnx",
                                "candidate-00003.txt", "candidate-x.txt"});
}
