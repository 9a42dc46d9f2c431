#include "hdap/study/on_every_rank.hpp"

#include <optional>
#include <vector>

namespace hdap::study {
namespace {

storage::Hdf5Reader on_every_rank(const parallel::Communicator& communicator,
                                  const std::string& name,
                                  const std::function<std::vector<std::byte>()>& bytes_on_root) {
    std::vector<std::byte> bytes;
    communicator.on_root([&] { bytes = bytes_on_root(); });
    communicator.broadcast(bytes);
    std::optional<storage::Hdf5Reader> reader;
    communicator.on_every_rank(
        [&] { reader.emplace(storage::Hdf5Reader::from_bytes(std::move(bytes), name)); });
    return std::move(*reader);
}

} // namespace

storage::Hdf5Reader make_on_every_rank(const parallel::Communicator& communicator,
                                       const std::string& name,
                                       const std::function<void(storage::Hdf5Writer&)>& make) {
    return on_every_rank(communicator, name, [&] {
        storage::Hdf5Writer writer;
        make(writer);
        return writer.finish();
    });
}

storage::Hdf5Reader open_on_every_rank(const parallel::Communicator& communicator,
                                       const std::string& file, storage::Seal seal) {
    return on_every_rank(communicator, file, [&] { return storage::read_sealed(file, seal); });
}

} // namespace hdap::study
