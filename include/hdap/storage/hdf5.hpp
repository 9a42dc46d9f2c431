#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace hdap::storage {

/// The element types of our data sets.
template <class T>
concept Element =
    std::is_same_v<T, double> || std::is_same_v<T, float> || std::is_same_v<T, std::int64_t> ||
    std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::uint8_t>;

using Shape = std::vector<std::size_t>;

/// The product of the extents; of a scalar, which has none, 1.
std::size_t element_count(std::span<const std::size_t> shape);

/// A list is of at most 4,096 numbers.
using AttributeValue = std::variant<std::int64_t, double, std::string, std::vector<double>>;

/// How a data set is stored. Compressed data sets are chunked along the first dimension.
enum class Compression { none, deflate };

/// Builds an HDF5 file in memory.
///
/// A file that is complete in memory is written to the disk in one go by storage::write_sealed.
/// So a full disk or a kill can never leave half a file behind, and HDF5 never sees an I/O error.
/// What does not fit into memory is built on the disk, by storage::SealedStream.
/// Missing groups on a path are made. A path is absolute: "/population/genomes".
/// HDF5 is not thread-safe: use writers and readers from one thread of a process, the main one.
class Hdf5Writer {
  public:
    Hdf5Writer();
    ~Hdf5Writer();
    Hdf5Writer(Hdf5Writer&&) noexcept;
    Hdf5Writer& operator=(Hdf5Writer&&) noexcept;

    /// Builds the file at `path` on the disk instead. Its first `reserved` bytes stay free: none,
    /// or a power of two from 512 on.
    /// Throws InternalError when the file cannot be made. HDF5 may crash when a write to the disk
    /// fails; SealedStream takes care that none does.
    static Hdf5Writer on_disk(const std::string& path, std::size_t reserved);

    /// Writes `values`, row-major, as a data set of `shape`.
    /// Throws InternalError when the path exists or the sizes do not fit.
    template <Element T>
    void write(const std::string& path, std::span<const T> values, const Shape& shape,
               Compression compression = Compression::none);

    template <Element T>
    void write(const std::string& path, const std::vector<T>& values) {
        write<T>(path, std::span<const T>(values), {values.size()});
    }
    template <Element T>
    void write(const std::string& path, const std::vector<T>& values, const Shape& shape) {
        write<T>(path, std::span<const T>(values), shape);
    }

    /// Begins a data set whose rows, each of shape `row`, are brought by append_rows. It is stored
    /// in chunks of up to 1 MiB along the first dimension, so that reading some rows reads little
    /// else. `expected_rows`: about how many will come; a chunk is not longer.
    /// Throws InternalError when the path exists.
    template <Element T>
    void begin_rows(const std::string& path, const Shape& row, std::size_t expected_rows);

    /// Appends `values`, row-major, to a data set of begin_rows.
    /// Throws InternalError when they are no whole number of rows.
    template <Element T>
    void append_rows(const std::string& path, std::span<const T> values);

    /// Writes UTF-8 strings as a one-dimensional data set of variable-length strings.
    void write_strings(const std::string& path, std::span<const std::string> values);

    /// Sets an attribute of the group or data set at `path` ("/" is the root group).
    void attribute(const std::string& path, const std::string& name, const AttributeValue& value);

    void group(const std::string& path);

    /// The bytes of the finished file in memory. Ends this object's use.
    std::vector<std::byte> finish();

    /// Finishes a file on the disk and returns its size in bytes; a file that was longer when it
    /// was made keeps its length. Ends this object's use.
    std::uint64_t close();

  private:
    struct Handles;
    explicit Hdf5Writer(std::unique_ptr<Handles> handles);
    std::unique_ptr<Handles> handles_;
};

/// Whether `bytes` begin as an HDF5 file does. Its signature is at the beginning or, behind a user
/// block such as our seal, at 512 · 2^n.
bool is_hdf5(std::span<const std::byte> bytes) noexcept;

/// What an entry of a file is, as Hdf5Reader::list tells it.
struct Entry {
    std::string path;
    bool is_group = false;
    std::string type; ///< "float64", "int32", "string", …; empty for a group
    Shape shape;      ///< empty for a group or a scalar
};

/// Reads an HDF5 file, from disk or from bytes in memory (which ranks can broadcast).
///
/// Every failure is a DataError that names the file, the path inside it and what was expected.
/// A data set whose declared size is absurd beside the bytes stored for it is refused before
/// anything is allocated.
class Hdf5Reader {
  public:
    /// Opens a file on the disk, which stays there; for data sets that do not fit into memory.
    static Hdf5Reader open(const std::string& file);

    /// Opens a file that is in memory. `name` stands for the file in messages.
    static Hdf5Reader from_bytes(std::vector<std::byte> bytes, std::string name);

    ~Hdf5Reader();
    Hdf5Reader(Hdf5Reader&&) noexcept;
    Hdf5Reader& operator=(Hdf5Reader&&) noexcept;

    [[nodiscard]] const std::string& name() const noexcept;
    [[nodiscard]] bool contains(const std::string& path) const;
    [[nodiscard]] Shape shape(const std::string& path) const;

    /// Reads a whole data set, converted to T. Numbers that T cannot hold are HDF5's business
    /// (it clips); a data set of strings is a DataError.
    template <Element T>
    [[nodiscard]] std::vector<T> read(const std::string& path) const;

    /// As `read`, and checks that the data set has exactly `expected` shape.
    template <Element T>
    [[nodiscard]] std::vector<T> read(const std::string& path, const Shape& expected) const;

    /// Reads rows [first, first + count) along the first dimension.
    template <Element T>
    [[nodiscard]] std::vector<T> read_rows(const std::string& path, std::size_t first,
                                           std::size_t count) const;

    [[nodiscard]] std::vector<std::string> read_strings(const std::string& path) const;

    [[nodiscard]] bool has_attribute(const std::string& path, const std::string& name) const;
    [[nodiscard]] std::int64_t attribute_int(const std::string& path,
                                             const std::string& name) const;
    [[nodiscard]] double attribute_double(const std::string& path, const std::string& name) const;
    /// A one-dimensional attribute of up to 65,536 numbers.
    [[nodiscard]] std::vector<double> attribute_doubles(const std::string& path,
                                                        const std::string& name) const;
    [[nodiscard]] std::string attribute_string(const std::string& path,
                                               const std::string& name) const;
    /// The names of all attributes of `path`, sorted.
    [[nodiscard]] std::vector<std::string> attribute_names(const std::string& path) const;
    /// An attribute of any type, printed for people.
    [[nodiscard]] std::string attribute_text(const std::string& path,
                                             const std::string& name) const;

    /// All groups and data sets below the root, in depth-first order of their names.
    [[nodiscard]] std::vector<Entry> list() const;

  private:
    struct Handles;
    explicit Hdf5Reader(std::unique_ptr<Handles> handles);
    std::unique_ptr<Handles> handles_;
};

} // namespace hdap::storage
