#include "hdap/storage/hdf5.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>
#include <hdf5.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <sstream>
#include <utility>

namespace hdap::storage {
namespace {

/// Owns an HDF5 identifier of any kind.
class Id {
  public:
    Id() = default;
    Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    ~Id() {
        if (id_ >= 0) close_(id_);
    }
    Id(Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
    Id& operator=(Id&& other) noexcept {
        std::swap(id_, other.id_);
        std::swap(close_, other.close_);
        return *this;
    }

    [[nodiscard]] hid_t get() const noexcept { return id_; }
    [[nodiscard]] bool valid() const noexcept { return id_ >= 0; }
    [[nodiscard]] hid_t release() noexcept { return std::exchange(id_, -1); }

  private:
    hid_t id_ = -1;
    herr_t (*close_)(hid_t) = nullptr;
};

/// HDF5's own words for what went wrong: the innermost entry of its error stack, but not that it
/// has no plugins, which it looks for when it does not know something itself.
std::string hdf5_reason() {
    std::string reason;
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD,
        [](unsigned, const H5E_error2_t* error, void* text) -> herr_t {
            auto& innermost = *static_cast<std::string*>(text);
            if (innermost.empty() && error->maj_num != H5E_PLUGIN && error->desc != nullptr)
                innermost = error->desc;
            return 0;
        },
        &reason);
    return reason.empty() ? "unknown HDF5 error" : reason;
}

/// HDF5 prints its error stack unless told not to; we put its reason into our messages instead.
void silence_hdf5() {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

template <class T>
hid_t native_type();
template <>
hid_t native_type<double>() {
    return H5T_NATIVE_DOUBLE;
}
template <>
hid_t native_type<float>() {
    return H5T_NATIVE_FLOAT;
}
template <>
hid_t native_type<std::int64_t>() {
    return H5T_NATIVE_INT64;
}
template <>
hid_t native_type<std::int32_t>() {
    return H5T_NATIVE_INT32;
}
template <>
hid_t native_type<std::uint8_t>() {
    return H5T_NATIVE_UINT8;
}

Id string_type() {
    Id type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), H5T_VARIABLE);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    return type;
}

/// A name for a file in memory that no other open file has: HDF5 takes files of equal names for one
/// and the same. `owner` lives as long as the file is open.
std::string unique_name(const void* owner) {
    std::ostringstream name;
    name << "memory " << owner;
    return name.str();
}

Id memory_access() {
    // The oldest file format, HDF5's default: H5Fget_file_image of 1.10 spoils the checksum of the
    // newer superblocks, and the seal of sealed_file.hpp protects more than those would.
    Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    constexpr std::size_t increment = std::size_t{1} << 20;
    H5Pset_fapl_core(access.get(), increment, false);
    return access;
}

Id disk_access() {
    Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    // Where file systems have no locks HDF5 would neither make nor read files, and ours are not
    // changed once they are there.
    constexpr bool lock = false;
    constexpr bool go_on_without = true;
    H5Pset_file_locking(access.get(), lock, go_on_without);
    return access;
}

Id creates_groups() {
    Id properties(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(properties.get(), 1);
    return properties;
}

/// How a filter that is not HDF5's own is called, by its registered number; "" where unknown.
std::string registered_name(H5Z_filter_t filter) {
    switch (filter) {
    case 32000:
        return "lzf";
    case 32001:
        return "blosc";
    case 32004:
        return "lz4";
    case 32008:
        return "bitshuffle";
    case 32013:
        return "zfp";
    case 32015:
        return "zstd";
    case 32026:
        return "blosc2";
    default:
        return "";
    }
}

/// The first filter of a data set that this HDF5 does not have: "'lzf' (number 32000)"; or "".
std::string missing_filter(hid_t dataset) {
    const Id properties(H5Dget_create_plist(dataset), H5Pclose);
    for (int i = 0; i < H5Pget_nfilters(properties.get()); ++i) {
        unsigned flags = 0;
        std::size_t values = 0;
        std::array<char, 64> name{};
        const H5Z_filter_t filter =
            H5Pget_filter2(properties.get(), static_cast<unsigned>(i), &flags, &values, nullptr,
                           name.size() - 1, name.data(), nullptr);
        if (filter < 0 || H5Zfilter_avail(filter) > 0) continue;
        const std::string known = registered_name(filter);
        return fmt::format("'{}' (number {})", known.empty() ? name.data() : known, filter);
    }
    return "";
}

std::string shape_text(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
        text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + "]";
}

void require(bool ok, const std::string& what) {
    if (!ok) throw core::InternalError(what + ": " + hdf5_reason());
}

} // namespace

std::size_t element_count(std::span<const std::size_t> shape) {
    std::size_t count = 1;
    for (const std::size_t extent : shape)
        count *= extent;
    return count;
}

// ---------------------------------------------------------------------------------------- writer

struct Hdf5Writer::Handles {
    Id file;
    Id make_groups = creates_groups();
};

Hdf5Writer::Hdf5Writer() : handles_(std::make_unique<Handles>()) {
    silence_hdf5();
    const Id access = memory_access();
    handles_->file =
        Id(H5Fcreate(unique_name(handles_.get()).c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()),
           H5Fclose);
    require(handles_->file.valid(), "cannot make an HDF5 file in memory");
}

Hdf5Writer::Hdf5Writer(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}

Hdf5Writer Hdf5Writer::on_disk(const std::string& path, std::size_t reserved) {
    silence_hdf5();
    auto handles = std::make_unique<Handles>();
    const Id creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
    require(H5Pset_userblock(creation.get(), reserved) >= 0, "cannot make " + path);
    const Id access = disk_access();
    handles->file =
        Id(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose);
    require(handles->file.valid(), "cannot make " + path);
    return Hdf5Writer(std::move(handles));
}

Hdf5Writer::~Hdf5Writer() = default;
Hdf5Writer::Hdf5Writer(Hdf5Writer&&) noexcept = default;
Hdf5Writer& Hdf5Writer::operator=(Hdf5Writer&&) noexcept = default;

namespace {

/// Chunks of up to 1 MiB along the first dimension.
void set_chunks(const Id& properties, const Shape& shape, std::size_t element_bytes) {
    constexpr std::size_t chunk_bytes = std::size_t{1} << 20;
    const std::size_t row_bytes = element_count(shape) / shape[0] * element_bytes;
    std::vector<hsize_t> chunk(shape.begin(), shape.end());
    chunk[0] = std::clamp<std::size_t>(chunk_bytes / row_bytes, 1, shape[0]);
    H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
}

Id dataset_properties(const Shape& shape, std::size_t element_bytes, Compression compression) {
    Id properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    // Creation times would make equal contents differ in bits.
    H5Pset_obj_track_times(properties.get(), false);
    if (compression == Compression::deflate && element_count(shape) > 0) {
        set_chunks(properties, shape, element_bytes);
        H5Pset_shuffle(properties.get());
        H5Pset_deflate(properties.get(), 4);
    }
    return properties;
}

Id dataspace(const Shape& shape) {
    const std::vector<hsize_t> extents(shape.begin(), shape.end());
    if (extents.empty()) return {H5Screate(H5S_SCALAR), H5Sclose};
    return {H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr), H5Sclose};
}

} // namespace

template <Element T>
void Hdf5Writer::write(const std::string& path, std::span<const T> values, const Shape& shape,
                       Compression compression) {
    if (values.size() != element_count(shape))
        throw core::InternalError(fmt::format("cannot write {}: {} values do not fill shape {}",
                                              path, values.size(), shape_text(shape)));
    const Id space = dataspace(shape);
    const Id properties = dataset_properties(shape, sizeof(T), compression);
    const Id dataset(H5Dcreate2(handles_->file.get(), path.c_str(), native_type<T>(), space.get(),
                                handles_->make_groups.get(), properties.get(), H5P_DEFAULT),
                     H5Dclose);
    require(dataset.valid(), "cannot make data set " + path);
    if (values.empty()) return;
    require(H5Dwrite(dataset.get(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                     values.data()) >= 0,
            "cannot write data set " + path);
}

template <Element T>
void Hdf5Writer::begin_rows(const std::string& path, const Shape& row, std::size_t expected_rows) {
    Shape shape = row;
    shape.insert(shape.begin(), std::max<std::size_t>(expected_rows, 1));
    if (element_count(row) == 0)
        throw core::InternalError(fmt::format("cannot make data set {}: its rows are empty", path));
    const Id properties = dataset_properties(shape, sizeof(T), Compression::none);
    set_chunks(properties, shape, sizeof(T));
    std::vector<hsize_t> extents(shape.begin(), shape.end());
    std::vector<hsize_t> limits = extents;
    extents[0] = 0;
    limits[0] = H5S_UNLIMITED;
    const Id space(
        H5Screate_simple(static_cast<int>(extents.size()), extents.data(), limits.data()),
        H5Sclose);
    const Id dataset(H5Dcreate2(handles_->file.get(), path.c_str(), native_type<T>(), space.get(),
                                handles_->make_groups.get(), properties.get(), H5P_DEFAULT),
                     H5Dclose);
    require(dataset.valid(), "cannot make data set " + path);
}

template <Element T>
void Hdf5Writer::append_rows(const std::string& path, std::span<const T> values) {
    const Id dataset(H5Dopen2(handles_->file.get(), path.c_str(), H5P_DEFAULT), H5Dclose);
    require(dataset.valid(), "cannot append to data set " + path);
    const Id old_space(H5Dget_space(dataset.get()), H5Sclose);
    std::vector<hsize_t> start(
        static_cast<std::size_t>(H5Sget_simple_extent_ndims(old_space.get())));
    H5Sget_simple_extent_dims(old_space.get(), start.data(), nullptr);
    std::vector<hsize_t> part = start;
    part[0] = 1;
    const std::size_t row = element_count(Shape(part.begin(), part.end()));
    if (values.size() % row != 0)
        throw core::InternalError(
            fmt::format("cannot append to data set {}: {} values are no whole number of rows of {}",
                        path, values.size(), row));
    if (values.empty()) return;
    part[0] = values.size() / row;
    std::vector<hsize_t> extents = start;
    extents[0] += part[0];
    require(H5Dset_extent(dataset.get(), extents.data()) >= 0, "cannot extend data set " + path);
    std::fill(start.begin() + 1, start.end(), 0);
    const Id space(H5Dget_space(dataset.get()), H5Sclose);
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, part.data(), nullptr);
    const Id memory = dataspace({part.begin(), part.end()});
    require(H5Dwrite(dataset.get(), native_type<T>(), memory.get(), space.get(), H5P_DEFAULT,
                     values.data()) >= 0,
            "cannot append to data set " + path);
}

void Hdf5Writer::write_strings(const std::string& path, std::span<const std::string> values) {
    std::vector<const char*> pointers;
    pointers.reserve(values.size());
    for (const std::string& value : values)
        pointers.push_back(value.c_str());
    const Shape shape{values.size()};
    const Id type = string_type();
    const Id space = dataspace(shape);
    const Id properties = dataset_properties(shape, sizeof(char*), Compression::none);
    const Id dataset(H5Dcreate2(handles_->file.get(), path.c_str(), type.get(), space.get(),
                                handles_->make_groups.get(), properties.get(), H5P_DEFAULT),
                     H5Dclose);
    require(dataset.valid(), "cannot make data set " + path);
    if (values.empty()) return;
    require(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) >=
                0,
            "cannot write data set " + path);
}

void Hdf5Writer::group(const std::string& path) {
    const Id made(H5Gcreate2(handles_->file.get(), path.c_str(), handles_->make_groups.get(),
                             H5P_DEFAULT, H5P_DEFAULT),
                  H5Gclose);
    require(made.valid(), "cannot make group " + path);
}

void Hdf5Writer::attribute(const std::string& path, const std::string& name,
                           const AttributeValue& value) {
    const Id object(H5Oopen(handles_->file.get(), path.c_str(), H5P_DEFAULT), H5Oclose);
    require(object.valid(), fmt::format("cannot set attribute '{}' of {}", name, path));
    const auto* const list = std::get_if<std::vector<double>>(&value);
    const Id space = dataspace(list == nullptr ? Shape{} : Shape{list->size()});
    const auto put = [&](hid_t type, const void* data) {
        const Id attribute(
            H5Acreate2(object.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
            H5Aclose);
        const bool empty = list != nullptr && list->empty();
        require(attribute.valid() && (empty || H5Awrite(attribute.get(), type, data) >= 0),
                fmt::format("cannot set attribute '{}' of {}", name, path));
    };
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        put(H5T_NATIVE_INT64, integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
        put(H5T_NATIVE_DOUBLE, real);
    } else if (list != nullptr) {
        put(H5T_NATIVE_DOUBLE, list->data());
    } else {
        const char* text = std::get<std::string>(value).c_str();
        put(string_type().get(), &text);
    }
}

std::vector<std::byte> Hdf5Writer::finish() {
    require(H5Fflush(handles_->file.get(), H5F_SCOPE_GLOBAL) >= 0, "cannot finish an HDF5 file");
    const ssize_t size = H5Fget_file_image(handles_->file.get(), nullptr, 0);
    require(size > 0, "cannot finish an HDF5 file");
    std::vector<std::byte> image(static_cast<std::size_t>(size));
    require(H5Fget_file_image(handles_->file.get(), image.data(), image.size()) == size,
            "cannot finish an HDF5 file");
    handles_->file = Id();
    return image;
}

std::uint64_t Hdf5Writer::close() {
    hsize_t size = 0;
    require(H5Fflush(handles_->file.get(), H5F_SCOPE_GLOBAL) >= 0 &&
                H5Fget_filesize(handles_->file.get(), &size) >= 0,
            "cannot finish an HDF5 file");
    require(H5Fclose(handles_->file.release()) >= 0, "cannot finish an HDF5 file");
    return size;
}

// ---------------------------------------------------------------------------------------- reader

struct Hdf5Reader::Handles {
    std::string name;
    Id file;

    [[noreturn]] void fail(const std::string& path, const std::string& what) const {
        throw core::DataError(fmt::format("{}: {}: {}", name, path, what));
    }

    [[nodiscard]] Id dataset(const std::string& path) const {
        Id id(H5Dopen2(file.get(), path.c_str(), H5P_DEFAULT), H5Dclose);
        if (!id.valid())
            fail(path, fmt::format("no such data set, or it is damaged ({})", hdf5_reason()));
        return id;
    }

    /// For a data set that H5Dread failed on.
    [[noreturn]] void fail_read(const std::string& path, const Id& dataset) const {
        const std::string reason = hdf5_reason();
        const std::string filter = missing_filter(dataset.get());
        if (!filter.empty())
            fail(path, fmt::format("is compressed with the filter {}, which is not available here; "
                                   "write it with gzip, or without compression",
                                   filter));
        fail(path, fmt::format("cannot be read ({})", reason));
    }

    [[nodiscard]] Id attribute(const std::string& path, const std::string& attribute_name) const {
        Id id(H5Aopen_by_name(file.get(), path.c_str(), attribute_name.c_str(), H5P_DEFAULT,
                              H5P_DEFAULT),
              H5Aclose);
        if (!id.valid()) fail(path, fmt::format("no attribute '{}'", attribute_name));
        return id;
    }

    /// The extents of a data set, refused when the stored bytes cannot possibly fill them.
    [[nodiscard]] Shape checked_shape(const std::string& path, const Id& dataset) const;
};

Shape Hdf5Reader::Handles::checked_shape(const std::string& path, const Id& dataset) const {
    const Id space(H5Dget_space(dataset.get()), H5Sclose);
    const int rank = H5Sget_simple_extent_ndims(space.get());
    if (rank < 0) fail(path, fmt::format("its shape cannot be read ({})", hdf5_reason()));
    std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
    H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
    // Deflate shrinks by 1032 at most, so anything beyond is a lie about the size.
    constexpr double most_compressed = 1100.0;
    double count = 1.0;
    for (const hsize_t extent : extents)
        count *= static_cast<double>(extent);
    const Id type(H5Dget_type(dataset.get()), H5Tclose);
    const double bytes = count * static_cast<double>(H5Tget_size(type.get()));
    const double stored = static_cast<double>(H5Dget_storage_size(dataset.get()));
    if (bytes > stored * most_compressed) {
        std::ostringstream message;
        message << "declares " << bytes << " bytes, but the file holds only " << stored
                << " for it";
        fail(path, message.str());
    }
    return {extents.begin(), extents.end()};
}

Hdf5Reader::Hdf5Reader(std::unique_ptr<Handles> handles) : handles_(std::move(handles)) {}
Hdf5Reader::~Hdf5Reader() = default;
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&&) noexcept = default;

bool is_hdf5(std::span<const std::byte> bytes) noexcept {
    constexpr std::string_view signature = "\x89HDF\r\n\x1a\n";
    constexpr std::size_t smallest_user_block = 512;
    for (std::size_t from = 0; from + signature.size() <= bytes.size();
         from = from == 0 ? smallest_user_block : 2 * from)
        if (std::memcmp(bytes.data() + from, signature.data(), signature.size()) == 0) return true;
    return false;
}

Hdf5Reader Hdf5Reader::open(const std::string& file) {
    silence_hdf5();
    auto handles = std::make_unique<Handles>();
    handles->name = file;
    const Id access = disk_access();
    handles->file = Id(H5Fopen(file.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
    if (!handles->file.valid())
        throw core::DataError(
            fmt::format("{}: not a readable HDF5 file ({})", file, hdf5_reason()));
    return Hdf5Reader(std::move(handles));
}

Hdf5Reader Hdf5Reader::from_bytes(std::vector<std::byte> bytes, std::string name) {
    silence_hdf5();
    auto handles = std::make_unique<Handles>();
    handles->name = std::move(name);
    const Id access = memory_access();
    if (bytes.empty() ||
        H5Pset_file_image(access.get(), bytes.data(), bytes.size()) < 0) // HDF5 takes a copy
        throw core::DataError(handles->name + ": not an HDF5 file: it is empty");
    bytes = std::vector<std::byte>(); // opening takes another copy, until `access` is gone
    handles->file =
        Id(H5Fopen(unique_name(handles.get()).c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
    if (!handles->file.valid())
        throw core::DataError(
            fmt::format("{}: not an HDF5 file ({})", handles->name, hdf5_reason()));
    return Hdf5Reader(std::move(handles));
}

const std::string& Hdf5Reader::name() const noexcept {
    return handles_->name;
}

bool Hdf5Reader::contains(const std::string& path) const {
    if (path == "/") return true;
    // H5Lexists wants every prefix to exist.
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string prefix = path.substr(0, end);
        if (H5Lexists(handles_->file.get(), prefix.c_str(), H5P_DEFAULT) <= 0) return false;
        if (end == std::string::npos) return true;
    }
}

Shape Hdf5Reader::shape(const std::string& path) const {
    return handles_->checked_shape(path, handles_->dataset(path));
}

namespace {

bool is_numeric(hid_t dataset) {
    const Id type(H5Dget_type(dataset), H5Tclose);
    const H5T_class_t kind = H5Tget_class(type.get());
    return kind == H5T_INTEGER || kind == H5T_FLOAT;
}

} // namespace

template <Element T>
std::vector<T> Hdf5Reader::read(const std::string& path) const {
    const Id dataset = handles_->dataset(path);
    if (!is_numeric(dataset.get())) handles_->fail(path, "holds no numbers");
    std::vector<T> values(element_count(handles_->checked_shape(path, dataset)));
    if (values.empty()) return values;
    if (H5Dread(dataset.get(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
        handles_->fail_read(path, dataset);
    return values;
}

template <Element T>
std::vector<T> Hdf5Reader::read(const std::string& path, const Shape& expected) const {
    const Shape found = shape(path);
    if (found != expected)
        handles_->fail(path, fmt::format("has shape {}, expected {}", shape_text(found),
                                         shape_text(expected)));
    return read<T>(path);
}

template <Element T>
std::vector<T> Hdf5Reader::read_rows(const std::string& path, std::size_t first,
                                     std::size_t count) const {
    const Id dataset = handles_->dataset(path);
    if (!is_numeric(dataset.get())) handles_->fail(path, "holds no numbers");
    const Shape full = handles_->checked_shape(path, dataset);
    if (full.empty() || first > full[0] || count > full[0] - first)
        handles_->fail(path, fmt::format("has shape {}: rows {} to {} are not there",
                                         shape_text(full), first, first + count));
    Shape part = full;
    part[0] = count;
    std::vector<T> values(element_count(part));
    if (values.empty()) return values;
    std::vector<hsize_t> start(full.size(), 0);
    start[0] = first;
    const std::vector<hsize_t> extents(part.begin(), part.end());
    const Id file_space(H5Dget_space(dataset.get()), H5Sclose);
    H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, extents.data(),
                        nullptr);
    const Id memory_space = dataspace(part);
    if (H5Dread(dataset.get(), native_type<T>(), memory_space.get(), file_space.get(), H5P_DEFAULT,
                values.data()) < 0)
        handles_->fail_read(path, dataset);
    return values;
}

std::vector<std::string> Hdf5Reader::read_strings(const std::string& path) const {
    const Id dataset = handles_->dataset(path);
    const Id stored(H5Dget_type(dataset.get()), H5Tclose);
    if (H5Tget_class(stored.get()) != H5T_STRING) handles_->fail(path, "holds no strings");
    const std::size_t count = element_count(handles_->checked_shape(path, dataset));
    std::vector<std::string> texts(count);
    if (count == 0) return texts;
    if (H5Tis_variable_str(stored.get()) > 0) {
        std::vector<char*> pointers(count, nullptr);
        const Id type = string_type();
        // A file may hold ASCII or UTF-8; HDF5 converts only between equal character sets.
        H5Tset_cset(type.get(), H5Tget_cset(stored.get()));
        if (H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) < 0)
            handles_->fail_read(path, dataset);
        for (std::size_t i = 0; i < count; ++i)
            if (pointers[i] != nullptr) texts[i] = pointers[i];
        const Id space(H5Dget_space(dataset.get()), H5Sclose);
        H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, pointers.data());
        return texts;
    }
    const std::size_t width = H5Tget_size(stored.get());
    std::vector<char> characters(count * width);
    if (H5Dread(dataset.get(), stored.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, characters.data()) < 0)
        handles_->fail_read(path, dataset);
    for (std::size_t i = 0; i < count; ++i) {
        const char* first = characters.data() + i * width;
        texts[i].assign(first, std::find(first, first + width, '\0'));
    }
    return texts;
}

bool Hdf5Reader::has_attribute(const std::string& path, const std::string& name) const {
    return H5Aexists_by_name(handles_->file.get(), path.c_str(), name.c_str(), H5P_DEFAULT) > 0;
}

namespace {

H5T_class_t attribute_class(const Id& attribute) {
    const Id type(H5Aget_type(attribute.get()), H5Tclose);
    return H5Tget_class(type.get());
}

bool is_scalar(const Id& attribute) {
    const Id space(H5Aget_space(attribute.get()), H5Sclose);
    return H5Sget_simple_extent_npoints(space.get()) == 1;
}

std::string read_string_attribute(const Id& attribute) {
    const Id stored(H5Aget_type(attribute.get()), H5Tclose);
    if (H5Tis_variable_str(stored.get()) > 0) {
        char* text = nullptr;
        if (H5Aread(attribute.get(), stored.get(), &text) < 0 || text == nullptr) return {};
        std::string value = text;
        H5free_memory(text);
        return value;
    }
    std::string value(H5Tget_size(stored.get()), '\0');
    if (H5Aread(attribute.get(), stored.get(), value.data()) < 0) return {};
    return value.substr(0, value.find('\0'));
}

} // namespace

std::int64_t Hdf5Reader::attribute_int(const std::string& path, const std::string& name) const {
    const Id attribute = handles_->attribute(path, name);
    std::int64_t value = 0;
    if (attribute_class(attribute) != H5T_INTEGER || !is_scalar(attribute) ||
        H5Aread(attribute.get(), H5T_NATIVE_INT64, &value) < 0)
        handles_->fail(path, fmt::format("attribute '{}' is not an integer", name));
    return value;
}

double Hdf5Reader::attribute_double(const std::string& path, const std::string& name) const {
    const Id attribute = handles_->attribute(path, name);
    double value = 0.0;
    const H5T_class_t kind = attribute_class(attribute);
    if ((kind != H5T_FLOAT && kind != H5T_INTEGER) || !is_scalar(attribute) ||
        H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, &value) < 0)
        handles_->fail(path, fmt::format("attribute '{}' is not a number", name));
    return value;
}

std::vector<double> Hdf5Reader::attribute_doubles(const std::string& path,
                                                  const std::string& name) const {
    constexpr hsize_t most_values = 65'536;
    const Id attribute = handles_->attribute(path, name);
    const Id space(H5Aget_space(attribute.get()), H5Sclose);
    hsize_t count = 0;
    const H5T_class_t kind = attribute_class(attribute);
    if ((kind != H5T_FLOAT && kind != H5T_INTEGER) ||
        H5Sget_simple_extent_ndims(space.get()) != 1 ||
        H5Sget_simple_extent_dims(space.get(), &count, nullptr) < 0 || count > most_values)
        handles_->fail(path, fmt::format("attribute '{}' is not a list of up to {} numbers", name,
                                         most_values));
    std::vector<double> values(count);
    if (count > 0 && H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, values.data()) < 0)
        handles_->fail(path,
                       fmt::format("attribute '{}' cannot be read ({})", name, hdf5_reason()));
    return values;
}

std::string Hdf5Reader::attribute_string(const std::string& path, const std::string& name) const {
    const Id attribute = handles_->attribute(path, name);
    if (attribute_class(attribute) != H5T_STRING || !is_scalar(attribute))
        handles_->fail(path, fmt::format("attribute '{}' is not a string", name));
    return read_string_attribute(attribute);
}

std::vector<std::string> Hdf5Reader::attribute_names(const std::string& path) const {
    std::vector<std::string> names;
    hsize_t index = 0;
    H5Aiterate_by_name(
        handles_->file.get(), path.c_str(), H5_INDEX_NAME, H5_ITER_INC, &index,
        [](hid_t, const char* name, const H5A_info_t*, void* list) -> herr_t {
            static_cast<std::vector<std::string>*>(list)->emplace_back(name);
            return 0;
        },
        &names, H5P_DEFAULT);
    std::sort(names.begin(), names.end());
    return names;
}

std::string Hdf5Reader::attribute_text(const std::string& path, const std::string& name) const {
    const Id attribute = handles_->attribute(path, name);
    if (!is_scalar(attribute)) return "(array)";
    switch (attribute_class(attribute)) {
    case H5T_STRING:
        return read_string_attribute(attribute);
    case H5T_INTEGER:
        return std::to_string(attribute_int(path, name));
    case H5T_FLOAT: {
        std::ostringstream text;
        text << attribute_double(path, name);
        return text.str();
    }
    default:
        return "(of a type that hdap does not use)";
    }
}

namespace {

std::string type_name(hid_t dataset) {
    const Id type(H5Dget_type(dataset), H5Tclose);
    const std::string bits = std::to_string(8 * H5Tget_size(type.get()));
    switch (H5Tget_class(type.get())) {
    case H5T_INTEGER:
        return (H5Tget_sign(type.get()) == H5T_SGN_NONE ? "uint" : "int") + bits;
    case H5T_FLOAT:
        return "float" + bits;
    case H5T_STRING:
        return "string";
    default:
        return "other";
    }
}

} // namespace

std::vector<Entry> Hdf5Reader::list() const {
    std::vector<std::string> names;
    // H5O_info_t is the type of this or of the next version's information, as HDF5 was configured.
    H5Ovisit2(
        handles_->file.get(), H5_INDEX_NAME, H5_ITER_INC,
        [](hid_t, const char* name, const auto*, void* list) -> herr_t {
            static_cast<std::vector<std::string>*>(list)->emplace_back(name);
            return 0;
        },
        &names, H5O_INFO_BASIC);
    std::vector<Entry> entries;
    for (const std::string& name : names) {
        if (name == ".") continue;
        Entry entry{.path = "/" + name, .is_group = true, .type = {}, .shape = {}};
        const Id object(H5Oopen(handles_->file.get(), entry.path.c_str(), H5P_DEFAULT), H5Oclose);
        if (object.valid() && H5Iget_type(object.get()) == H5I_DATASET) {
            entry.is_group = false;
            entry.type = type_name(object.get());
            entry.shape = handles_->checked_shape(entry.path, handles_->dataset(entry.path));
        }
        entries.push_back(std::move(entry));
    }
    return entries;
}

template void Hdf5Writer::write(const std::string&, std::span<const double>, const Shape&,
                                Compression);
template void Hdf5Writer::write(const std::string&, std::span<const float>, const Shape&,
                                Compression);
template void Hdf5Writer::write(const std::string&, std::span<const std::int64_t>, const Shape&,
                                Compression);
template void Hdf5Writer::write(const std::string&, std::span<const std::int32_t>, const Shape&,
                                Compression);
template void Hdf5Writer::write(const std::string&, std::span<const std::uint8_t>, const Shape&,
                                Compression);
template void Hdf5Writer::begin_rows<double>(const std::string&, const Shape&, std::size_t);
template void Hdf5Writer::begin_rows<float>(const std::string&, const Shape&, std::size_t);
template void Hdf5Writer::begin_rows<std::int64_t>(const std::string&, const Shape&, std::size_t);
template void Hdf5Writer::begin_rows<std::int32_t>(const std::string&, const Shape&, std::size_t);
template void Hdf5Writer::begin_rows<std::uint8_t>(const std::string&, const Shape&, std::size_t);
template void Hdf5Writer::append_rows(const std::string&, std::span<const double>);
template void Hdf5Writer::append_rows(const std::string&, std::span<const float>);
template void Hdf5Writer::append_rows(const std::string&, std::span<const std::int64_t>);
template void Hdf5Writer::append_rows(const std::string&, std::span<const std::int32_t>);
template void Hdf5Writer::append_rows(const std::string&, std::span<const std::uint8_t>);
template std::vector<double> Hdf5Reader::read(const std::string&) const;
template std::vector<float> Hdf5Reader::read(const std::string&) const;
template std::vector<std::int64_t> Hdf5Reader::read(const std::string&) const;
template std::vector<std::int32_t> Hdf5Reader::read(const std::string&) const;
template std::vector<std::uint8_t> Hdf5Reader::read(const std::string&) const;
template std::vector<double> Hdf5Reader::read(const std::string&, const Shape&) const;
template std::vector<float> Hdf5Reader::read(const std::string&, const Shape&) const;
template std::vector<std::int64_t> Hdf5Reader::read(const std::string&, const Shape&) const;
template std::vector<std::int32_t> Hdf5Reader::read(const std::string&, const Shape&) const;
template std::vector<std::uint8_t> Hdf5Reader::read(const std::string&, const Shape&) const;
template std::vector<double> Hdf5Reader::read_rows(const std::string&, std::size_t,
                                                   std::size_t) const;
template std::vector<float> Hdf5Reader::read_rows(const std::string&, std::size_t,
                                                  std::size_t) const;
template std::vector<std::int64_t> Hdf5Reader::read_rows(const std::string&, std::size_t,
                                                         std::size_t) const;
template std::vector<std::int32_t> Hdf5Reader::read_rows(const std::string&, std::size_t,
                                                         std::size_t) const;
template std::vector<std::uint8_t> Hdf5Reader::read_rows(const std::string&, std::size_t,
                                                         std::size_t) const;

} // namespace hdap::storage
