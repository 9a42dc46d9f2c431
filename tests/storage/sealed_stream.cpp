#include "hdap/storage/sealed_stream.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <fstream>
#include <numeric>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace hdap;
using storage::Hdf5Reader;
using storage::Seal;
using storage::SealedStream;
namespace fs = std::filesystem;

namespace {

/// No file of this process grows beyond `bytes`: what a full disk is to a writer.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;

  private:
    rlimit before_{};
    void (*handler_)(int);
};

std::ptrdiff_t files_in(const test::TemporaryFolder& folder) {
    return std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator());
}

std::vector<std::uint8_t> counting(std::size_t count) {
    std::vector<std::uint8_t> values(count);
    std::iota(values.begin(), values.end(), std::uint8_t{0});
    return values;
}

/// 7 rows of 2 × 3, in appended parts of 2, 0 and 5 rows.
void write_rows(storage::Hdf5Writer& file) {
    const auto values = counting(42);
    const auto part = [&](std::size_t first, std::size_t count) {
        file.append_rows<std::uint8_t>("/rows", std::span(values).subspan(6 * first, 6 * count));
    };
    file.begin_rows<std::uint8_t>("/rows", {2, 3}, 4);
    part(0, 2);
    part(2, 0);
    part(2, 5);
}

void write_file(const fs::path& path) {
    SealedStream stream(path, 50);
    write_rows(stream.content());
    stream.content().write<double>("/values", {1.0, 2.0});
    stream.content().attribute("/", "schema", "test/1");
    stream.commit();
}

std::vector<char> bytes_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

} // namespace

TEST_CASE("a stream into a folder that is missing says why") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_AS(SealedStream(folder / "missing/a.h5", 1), core::InternalError);
    CHECK_THROWS_WITH(SealedStream(folder / "missing/a.h5", 1),
                      Catch::Contains("a.h5") && Catch::Contains("No such file or directory"));
}

TEST_CASE("a streamed file is sealed as any other, and all readers read it") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "a.h5";
    write_file(path);
    CHECK(files_in(folder) == 1);
    CHECK(fs::file_size(path) < 20'000);
    CHECK(storage::check_sealed(path));
    const auto check = [](const Hdf5Reader& file) {
        CHECK(file.read<std::uint8_t>("/rows", {7, 2, 3}) == counting(42));
        CHECK(file.read_rows<std::uint8_t>("/rows", 3, 1) ==
              std::vector<std::uint8_t>{18, 19, 20, 21, 22, 23});
        CHECK(file.read<double>("/values") == std::vector<double>{1.0, 2.0});
        CHECK(file.attribute_string("/", "schema") == "test/1");
    };
    check(Hdf5Reader::from_bytes(storage::read_sealed(path), "a.h5"));
    check(Hdf5Reader::open(path.string()));
}

TEST_CASE("equal contents are streamed into equal bytes") {
    const test::TemporaryFolder folder;
    write_file(folder / "a.h5");
    write_file(folder / "b.h5");
    CHECK(bytes_of(folder / "a.h5") == bytes_of(folder / "b.h5"));
}

TEST_CASE("without commit nothing is left, and the file that was there stays") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "a.h5";
    write_file(path);
    const auto before = bytes_of(path);
    {
        SealedStream stream(path, 50);
        write_rows(stream.content());
        CHECK(files_in(folder) == 2);
    }
    CHECK(files_in(folder) == 1);
    CHECK(bytes_of(path) == before);
}

TEST_CASE("what a killed stream left is removed by the next, and nothing else is") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "a.h5";
    const pid_t child = ::fork();
    if (child == 0) {
        SealedStream* stream = new SealedStream(path, 50); // never destroyed
        write_rows(stream->content());
        ::_exit(0);
    }
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    const std::string dead = std::to_string(child);
    REQUIRE(fs::exists(path.string() + ".tmp." + dead));
    const std::vector<std::string> others{"a.h5.tmp." + std::to_string(::getppid()), // it runs
                                          "b.h5.tmp." + dead,
                                          "a.h5.tmp.x",
                                          "a.h5.tmp.",
                                          "a.h5.tmp." + dead + "0x",
                                          "a.h5"};
    for (const std::string& name : others)
        std::ofstream(folder / name) << "x";
    write_file(path);
    CHECK_FALSE(fs::exists(path.string() + ".tmp." + dead));
    for (const std::string& name : others)
        CHECK(fs::exists(folder / name));
}

TEST_CASE("a stream for which the disk has no space is refused before anything is written") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "a.h5";
    write_file(path);
    const auto before = bytes_of(path);
    for (const rlim_t limit : {0U, 600U, 2000U, 20'000'000U}) {
        CAPTURE(limit);
        const FileSizeLimit disk(limit);
        CHECK_THROWS_WITH(SealedStream(path, 20'000'000),
                          Catch::Contains("a.h5") && Catch::Contains("File too large"));
        CHECK(files_in(folder) == 1);
        CHECK(bytes_of(path) == before);
    }
    CHECK_THROWS_AS(SealedStream(path, ~std::uint64_t{0} / 2), core::InternalError);
    CHECK(files_in(folder) == 1);
}

TEST_CASE("space that was taken is enough for what was announced") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "a.h5";
    constexpr std::size_t row = 1000;
    constexpr std::size_t rows = 60'000;
    const std::vector<std::uint8_t> part(row * 1500, 7);
    SealedStream stream(path, rows * row);
    const auto reserved = fs::file_size(storage::temporary_name(path));
    {
        // Whatever HDF5 wants beyond that would fail.
        const FileSizeLimit disk(reserved);
        stream.content().begin_rows<std::uint8_t>("/rows", {row}, rows);
        for (std::size_t i = 0; i < rows / 1500; ++i)
            stream.content().append_rows<std::uint8_t>("/rows", part);
        stream.commit();
    }
    CHECK(fs::file_size(path) < reserved);
    CHECK(Hdf5Reader::open(path.string()).shape("/rows") == storage::Shape{rows, row});
}

TEST_CASE("the seal of a file on the disk is checked as that of one in memory") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "a.h5";
    CHECK_THROWS_WITH(storage::check_sealed(path), Catch::Contains("No such file"));
    CHECK_THROWS_AS(storage::check_sealed(folder.path()), core::DataError);
    for (const std::streamoff at : {0, 25, 40, 100, 511, 512, 2000}) {
        write_file(path);
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(at);
        const int byte = file.get();
        file.seekp(at);
        file.put(static_cast<char>(byte ^ 4));
        file.close();
        CAPTURE(at);
        CHECK_THROWS_AS(storage::check_sealed(path), core::CorruptFileError);
    }
    for (const std::uintmax_t size : {0, 1, 511, 512, 513, 1000}) {
        write_file(path);
        fs::resize_file(path, size);
        CAPTURE(size);
        CHECK_THROWS_AS(storage::check_sealed(path), core::CorruptFileError);
    }
    std::ofstream(path) << "no seal";
    CHECK_FALSE(storage::check_sealed(path, Seal::optional));
    CHECK_THROWS_AS(storage::check_sealed(path), core::CorruptFileError);
}
