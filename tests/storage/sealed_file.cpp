#include "hdap/storage/sealed_file.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/hdf5.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <unistd.h>

using namespace hdap;
using storage::Seal;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    return {bytes.begin(), bytes.end()};
}

void flip_bit(const fs::path& path, std::streamoff at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const char value = static_cast<char>(file.get());
    file.seekp(at);
    file.put(static_cast<char>(value ^ 4));
}

} // namespace

TEST_CASE("a missing file and a folder are DataErrors that name the path") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_WITH(storage::read_sealed(folder / "none.h5"), Catch::Contains("none.h5"));
    CHECK_THROWS_AS(storage::read_sealed(folder.path()), core::DataError);
}

TEST_CASE("a sealed file returns its content, keeps the previous one and leaves nothing else") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "search.h5";
    const fs::path previous = folder / "search.prev.h5";
    storage::write_sealed(path, bytes_of("one"), previous);
    CHECK_FALSE(fs::exists(previous));
    storage::write_sealed(path, bytes_of("two"), previous);
    storage::write_sealed(path, bytes_of("three"), previous);
    CHECK(storage::read_sealed(path) == bytes_of("three"));
    CHECK(storage::read_sealed(previous) == bytes_of("two"));
    CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 2);
}

TEST_CASE("the previous file stays when there is none to take its place") {
    // After a fall-back it is the only checkpoint until the new one is there, and a link that a
    // killed writer left must not be written through.
    const test::TemporaryFolder folder;
    const fs::path path = folder / "search.h5";
    const fs::path previous = folder / "search.prev.h5";
    storage::write_sealed(previous, bytes_of("one"));
    fs::create_hard_link(previous, previous.string() + ".tmp." + std::to_string(::getpid()));
    storage::write_sealed(path, bytes_of("two"), previous);
    CHECK(storage::read_sealed(previous) == bytes_of("one"));
    storage::write_sealed(path, bytes_of("three"), previous);
    CHECK(storage::read_sealed(previous) == bytes_of("two"));
}

TEST_CASE("any flipped bit and any truncation is found before HDF5 sees the file") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "a.h5";
    storage::Hdf5Writer writer;
    writer.write<double>("/values", {1.0, 2.0, 3.0});
    const auto content = writer.finish();
    for (const std::streamoff at : {0L, 25L, 40L, 100L, 300L, 511L, 512L, 700L, 1000L}) {
        storage::write_sealed(path, content);
        flip_bit(path, at);
        CAPTURE(at);
        CHECK_THROWS_AS(storage::read_sealed(path), core::CorruptFileError);
    }
    for (const std::uintmax_t size : {0, 1, 511, 512, 513, 1000}) {
        storage::write_sealed(path, content);
        fs::resize_file(path, size);
        CAPTURE(size);
        CHECK_THROWS_AS(storage::read_sealed(path), core::CorruptFileError);
    }
}

TEST_CASE("HDF5 itself opens a sealed file, and a file without a seal is read when allowed") {
    const test::TemporaryFolder folder;
    storage::Hdf5Writer writer;
    writer.write<double>("/values", {1.0, 2.0, 3.0});
    const auto content = writer.finish();
    storage::write_sealed(folder / "sealed.h5", content);
    const auto reader = storage::Hdf5Reader::open((folder / "sealed.h5").string());
    CHECK(reader.read<double>("/values") == std::vector<double>{1.0, 2.0, 3.0});
    storage::write_atomically(folder / "plain.h5", content);
    CHECK(storage::read_sealed(folder / "plain.h5", Seal::optional) == content);
    CHECK_THROWS_AS(storage::read_sealed(folder / "plain.h5"), core::CorruptFileError);
}

TEST_CASE("text is written as it is, and takes the place of what was there") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "notes.csv";
    const auto written = [&] {
        std::ifstream file(path, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    };
    for (const std::string& text : {"a,b\n1,2\n"s, "zero\0, \r\n"s, ""s}) {
        storage::write_atomically(path, text);
        CHECK(written() == text);
    }
}

TEST_CASE("a folder that cannot be written leaves the old file and says why") {
    const test::TemporaryFolder folder;
    const fs::path path = folder / "missing" / "a.h5";
    CHECK_THROWS_WITH(storage::write_sealed(path, bytes_of("x")),
                      Catch::Contains("No such file or directory"));
}

TEST_CASE("a file is written behind a symbolic link, and nothing but a file is replaced") {
    const test::TemporaryFolder folder;
    storage::write_sealed(folder / "file.h5", bytes_of("old"));
    fs::create_symlink(folder / "file.h5", folder / "link.h5");
    storage::write_sealed(folder / "link.h5", bytes_of("new"));
    CHECK(fs::is_symlink(folder / "link.h5"));
    CHECK(storage::read_sealed(folder / "file.h5") == bytes_of("new"));
    fs::create_directory(folder / "folder.h5");
    REQUIRE(::mkfifo((folder / "pipe.h5").c_str(), 0600) == 0);
    for (const char* name : {"pipe.h5", "folder.h5"})
        CHECK_THROWS_WITH(storage::write_sealed(folder / name, bytes_of("x")),
                          Catch::Contains(name) && Catch::Contains("no regular file"));
    CHECK(fs::is_fifo(folder / "pipe.h5"));
}

TEST_CASE("what killed writers left is removed, and nothing else") {
    const test::TemporaryFolder folder;
    for (const char* name : {"a.h5", "a.h5.tmp.123", "b.csv.tmp.4", "notes.tmp.txt", "c.tmp."})
        storage::write_atomically(folder / name, bytes_of("x"));
    storage::remove_temporary_files(folder.path());
    CHECK(fs::exists(folder / "a.h5"));
    CHECK(fs::exists(folder / "notes.tmp.txt"));
    CHECK(fs::exists(folder / "c.tmp."));
    CHECK_FALSE(fs::exists(folder / "a.h5.tmp.123"));
    CHECK_FALSE(fs::exists(folder / "b.csv.tmp.4"));
    CHECK_NOTHROW(storage::remove_temporary_files(folder / "missing"));
}
