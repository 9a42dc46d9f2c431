#include "archive.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <sstream>
#include <string_view>
#include <vector>

namespace hdap::network {
namespace {

static_assert(std::endian::native == std::endian::little, "zip archives are little-endian");

/// Names and sizes of the zip format's structures (APPNOTE.TXT, sections 4.3.7 to 4.3.16).
constexpr std::uint32_t local_header_signature = 0x04034b50;
constexpr std::uint32_t central_header_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50;
constexpr std::uint32_t end64_signature = 0x06064b50;
constexpr std::uint32_t locator64_signature = 0x07064b50;
constexpr std::uint64_t local_header_bytes = 30;
constexpr std::uint64_t central_header_bytes = 46;
constexpr std::uint64_t end_bytes = 22;
constexpr std::uint64_t end64_bytes = 56;
constexpr std::uint64_t locator64_bytes = 20;
constexpr std::uint64_t longest_comment = 0xFFFF;
constexpr std::uint16_t extra64_tag = 1;
constexpr std::uint64_t in_extra64 = 0xFFFFFFFF; ///< "see the zip64 field" where 32 bits are stored

/// Tensors are stored as they are; program text is deflated, repetitive debug records most of all.
constexpr std::uint64_t most_inflation = 100;

struct Record {
    std::string_view name;
    std::uint64_t stored = 0;   ///< bytes in the archive
    std::uint64_t declared = 0; ///< bytes in memory
    std::uint64_t first = 0;    ///< where its local header begins
    std::uint64_t last = 0;     ///< where its bytes end
};

/// The directory of a zip archive; every number in it is checked before it is used.
class Directory {
  public:
    Directory(std::span<const std::byte> bytes, const std::string& name)
        : bytes_(bytes), name_(name) {
        find_end();
        std::uint64_t at = first_header_;
        for (std::uint64_t i = 0; i < count_; ++i)
            at = read_header(at);
        check_overlaps();
    }

    [[nodiscard]] const std::vector<Record>& records() const { return records_; }

    [[noreturn]] void fail(const std::string& what) const {
        throw core::DataError(fmt::format("{}: not a TorchScript archive: {}", name_, what));
    }

  private:
    template <class T>
    [[nodiscard]] T number(std::uint64_t at) const {
        if (at > bytes_.size() || bytes_.size() - at < sizeof(T))
            fail("its directory points behind the end of the file");
        T value;
        std::memcpy(&value, bytes_.data() + at, sizeof(T));
        return value;
    }

    [[nodiscard]] bool has_signature(std::uint64_t at, std::uint32_t signature) const {
        return number<std::uint32_t>(at) == signature;
    }

    /// Where the directory is, and how many records it has.
    void find_end() {
        if (bytes_.size() < end_bytes) fail("it is too short");
        const std::uint64_t newest = bytes_.size() - end_bytes;
        const std::uint64_t oldest = newest - std::min(newest, longest_comment);
        std::uint64_t at = newest;
        while (at > oldest && !has_signature(at, end_signature))
            --at;
        if (!has_signature(at, end_signature)) fail("the zip directory at its end is missing");
        count_ = number<std::uint16_t>(at + 10);
        std::uint64_t size = number<std::uint32_t>(at + 12);
        first_header_ = number<std::uint32_t>(at + 16);
        if (at >= locator64_bytes && has_signature(at - locator64_bytes, locator64_signature)) {
            const auto end64 = number<std::uint64_t>(at - locator64_bytes + 8);
            if (end64 > at || at - end64 < end64_bytes || !has_signature(end64, end64_signature))
                fail("its zip64 directory is damaged");
            count_ = number<std::uint64_t>(end64 + 32);
            size = number<std::uint64_t>(end64 + 40);
            first_header_ = number<std::uint64_t>(end64 + 48);
        }
        if (first_header_ > at || size > at - first_header_ || count_ > size / central_header_bytes)
            fail(fmt::format("its zip directory of {} records is damaged", count_));
    }

    /// Appends the record whose header is at `at`; returns where the next header is.
    std::uint64_t read_header(std::uint64_t at) {
        if (!has_signature(at, central_header_signature))
            fail("its zip directory is damaged at byte " + std::to_string(at));
        const auto flags = number<std::uint16_t>(at + 8);
        const auto method = number<std::uint16_t>(at + 10);
        const auto name_bytes = number<std::uint16_t>(at + 28);
        const auto extra_bytes = number<std::uint16_t>(at + 30);
        const auto comment_bytes = number<std::uint16_t>(at + 32);
        const std::uint64_t name_at = at + central_header_bytes;
        const std::uint64_t next = name_at + name_bytes + extra_bytes + comment_bytes;
        if (next > bytes_.size()) fail("its directory points behind the end of the file");
        Record record{.name = {reinterpret_cast<const char*>(bytes_.data() + name_at), name_bytes},
                      .stored = number<std::uint32_t>(at + 20),
                      .declared = number<std::uint32_t>(at + 24),
                      .first = number<std::uint32_t>(at + 42)};
        read_extra64(record, name_at + name_bytes, name_at + name_bytes + extra_bytes);
        check_record(record, flags, method);
        records_.push_back(record);
        return next;
    }

    /// Sizes that do not fit into 32 bits come as a field of the header, in this order.
    void read_extra64(Record& record, std::uint64_t at, std::uint64_t end) const {
        while (end - at >= 4) {
            const auto tag = number<std::uint16_t>(at);
            const auto size = number<std::uint16_t>(at + 2);
            at += 4;
            if (size > end - at) return;
            if (tag == extra64_tag) {
                std::uint64_t field = at;
                for (std::uint64_t* value : {&record.declared, &record.stored, &record.first})
                    if (*value == in_extra64 && at + size - field >= sizeof(*value)) {
                        *value = number<std::uint64_t>(field);
                        field += sizeof(*value);
                    }
            }
            at += size;
        }
    }

    void check_record(Record& record, std::uint16_t flags, std::uint16_t method) const {
        constexpr std::uint16_t plain = 0;
        constexpr std::uint16_t deflated = 8;
        const std::string shown = fmt::format("record '{}'", record.name.substr(0, 80));
        if ((flags & 1U) != 0 || (method != plain && method != deflated))
            fail(shown + " is encrypted or compressed in an unknown way");
        if (!has_signature(record.first, local_header_signature)) fail(shown + " has no header");
        const std::uint64_t data = record.first + local_header_bytes +
                                   number<std::uint16_t>(record.first + 26) +
                                   number<std::uint16_t>(record.first + 28);
        if (data > first_header_ || record.stored > first_header_ - data)
            fail(fmt::format("{} of {} bytes reaches over the end of the records", shown,
                             record.stored));
        record.last = data + record.stored;
        const std::uint64_t most =
            method == plain ? record.stored : most_inflation * (record.stored + 1);
        if (record.declared > most)
            fail(fmt::format("{} declares {} bytes, but only {} are stored for it", shown,
                             record.declared, record.stored));
    }

    /// Records over one another would be many times the file together.
    void check_overlaps() const {
        std::vector<Record> sorted = records_;
        std::sort(sorted.begin(), sorted.end(),
                  [](const Record& a, const Record& b) { return a.first < b.first; });
        for (std::size_t i = 1; i < sorted.size(); ++i)
            if (sorted[i].first < sorted[i - 1].last)
                fail(
                    fmt::format("record '{}' lies over another one", sorted[i].name.substr(0, 80)));
    }

    std::span<const std::byte> bytes_;
    const std::string& name_;
    std::uint64_t count_ = 0;
    std::uint64_t first_header_ = 0;
    std::vector<Record> records_;
};

} // namespace

std::string input_shape_text(const TensorShape& shape) {
    return fmt::format("{} {} {}", shape.channels, shape.extent.height, shape.extent.width);
}

std::optional<TensorShape> parse_input_shape(const std::string& text) {
    std::istringstream stream(text);
    TensorShape shape;
    if (!(stream >> shape.channels >> shape.extent.height >> shape.extent.width))
        return std::nullopt;
    return shape;
}

bool is_zip(std::span<const std::byte> bytes) noexcept {
    return bytes.size() >= sizeof(local_header_signature) &&
           std::memcmp(bytes.data(), &local_header_signature, sizeof(local_header_signature)) == 0;
}

void check_torchscript_archive(std::span<const std::byte> bytes, const std::string& name) {
    const Directory directory(bytes, name);
    const auto has = [&](const char* record) {
        return std::any_of(directory.records().begin(), directory.records().end(),
                           [&](const Record& found) { return found.name.ends_with(record); });
    };
    if (!has("/data.pkl")) directory.fail("it is a zip archive without a record 'data.pkl'");
    // torch.save makes archives of the same kind, with the class by name instead of its program.
    if (!has("/constants.pkl"))
        directory.fail("it was written by torch.save, which keeps no program; write the network "
                       "with torch.jit.trace(network.eval(), images).save(file), or its weights "
                       "with safetensors.torch.save_file(network.state_dict(), file)");
}

} // namespace hdap::network
