// `hdap data`: what it prints, and its exit codes.
#include "end_to_end/process.hpp"
#include "end_to_end/tiny_study.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>

using namespace hdap::test;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

Outcome hdap_data(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {hdap_program().string(), "data"});
    return Process(arguments).wait();
}

/// CIFAR-10's six binary files with `records` images each.
void write_cifar10(const fs::path& folder, int records) {
    fs::create_directories(folder);
    for (const char* name : {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                             "data_batch_5", "test_batch"}) {
        std::ofstream file(folder / (std::string(name) + ".bin"), std::ios::binary);
        for (int i = 0; i < records; ++i) {
            file.put(static_cast<char>(i % 4));
            for (int pixel = 0; pixel < 3072; ++pixel)
                file.put(static_cast<char>((pixel * (i + 3)) % 251));
        }
    }
}

} // namespace

TEST_CASE("CIFAR-10 is packed and described") {
    const TemporaryFolder folder;
    write_cifar10(folder / "cifar", 6);
    const std::string packed = folder / "packed.h5";
    const Outcome refused = hdap_data({"pack", "cifar10", folder / "cifar", packed});
    CHECK(refused.exit_code == 3);
    CHECK_THAT(refused.errors, Contains("holds 6 images, expected 10000"));
    CHECK_FALSE(fs::exists(packed));

    const Outcome made = hdap_data({"pack", "cifar10", folder / "cifar", packed, "--partial"});
    INFO(made.errors);
    REQUIRE(made.exit_code == 0);
    CHECK_THAT(made.output, Contains("30 train and 6 test images of 10 classes"));

    const Outcome text = hdap_data({"info", packed});
    CHECK(text.exit_code == 0);
    CHECK_THAT(text.output, Contains("its seal is intact") && Contains("3 × 32 × 32"));
    CHECK_THAT(text.output, Contains("1                10          2   automobile\n"));
    CHECK_THAT(text.output, Contains("all              30          6\n"));

    const auto json = nlohmann::json::parse(hdap_data({"info", "--json", packed}).output);
    CHECK(json["sealed"] == true);
    CHECK(json["input_sha256"].get<std::string>().size() == 64);
    CHECK(json["channels"] == 3);
    CHECK(json["classes"] == 10);
    CHECK(json["class_names"][3] == "cat");
    CHECK(json["mean"].size() == 3);
    CHECK(json["splits"]["train"]["count"] == 30);
    CHECK(json["splits"]["test"]["per_class"] == std::vector<int>{2, 2, 1, 1, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("packed images that are damaged or no packed images end with 3") {
    const TemporaryFolder folder;
    write_cifar10(folder / "cifar", 6);
    const fs::path packed = folder / "packed.h5";
    REQUIRE(hdap_data({"pack", "cifar10", folder / "cifar", packed, "--partial"}).exit_code == 0);
    const auto errors_of = [](const fs::path& file) {
        const Outcome outcome = hdap_data({"info", file});
        CHECK(outcome.exit_code == 3);
        CHECK(outcome.output.empty());
        return outcome.errors;
    };
    CHECK_THAT(errors_of(folder / "missing.h5"), Contains("No such file"));
    CHECK_THAT(errors_of(folder / "cifar/test_batch.bin"), Contains("HDF5"));
    fs::resize_file(packed, fs::file_size(packed) - 1000);
    CHECK_THAT(errors_of(packed), Contains("truncated"));
}

TEST_CASE("a folder of corrupt images ends with 3 and names them, and no limit helps") {
    const TemporaryFolder folder;
    for (const char* place : {"train/a", "train/b", "test/a"}) {
        fs::create_directories(folder / place);
        std::ofstream(folder / place / "x.png") << "no image";
    }
    const auto pack = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"pack", "image-folder", folder.path(), folder / "packed.h5"});
        const Outcome outcome = hdap_data(more);
        CHECK(outcome.output.empty());
        CHECK_FALSE(fs::exists(folder / "packed.h5"));
        return outcome;
    };
    const Outcome corrupt = pack({});
    CHECK(corrupt.exit_code == 3);
    CHECK_THAT(corrupt.errors, Contains("3 of 3 images") && Contains("train/a/x.png is neither"));
    const Outcome empty = pack({"--max-corrupt", "3"});
    CHECK(empty.exit_code == 3);
    CHECK_THAT(empty.errors, Contains("there is no image for the split"));
    CHECK(pack({"--size", "64", "--resize", "32"}).exit_code == 2);
    CHECK(pack({"--channels", "2"}).exit_code == 2);
    CHECK(pack({"--split", "0.8"}).exit_code == 2); // train/ is there
    CHECK(pack({"--split", "1"}).exit_code == 2);
}

TEST_CASE("a subcommand that does not exist is named at any depth") {
    CHECK_THAT(hdap_data({"pakc"}).errors, Contains("'pakc' (did you mean 'pack'?)"));
    const Outcome kind = hdap_data({"pack", "cifar", "a", "b"});
    CHECK(kind.exit_code == 2);
    CHECK_THAT(kind.errors, Contains("'cifar' (did you mean 'cifar10'?)"));
}
