#include "hdap/study/image_splits.hpp"

#include "hdap/storage/sealed_file.hpp"

#include <vector>

namespace hdap::study {
namespace {

ImageSplits read_splits(const std::string& name, std::int64_t held_out,
                        const std::function<void(std::int64_t)>& check) {
    storage::check_sealed(name, storage::Seal::optional);
    const auto file = storage::Hdf5Reader::open(name);
    const std::int64_t count = accuracy::count_images(file, "train");
    check(count);
    ImageSplits splits;
    // Read apart: to cut them from one another would need them twice.
    splits.train = accuracy::read_images(file, "train", 0, count - held_out);
    if (held_out > 0)
        splits.held_out = accuracy::read_images(file, "train", count - held_out, held_out);
    splits.test = accuracy::read_images(file, "test");
    return splits;
}

void broadcast(const parallel::Communicator& communicator, accuracy::ImageData& images) {
    std::vector<std::int64_t> sizes{images.count, images.channels, images.height, images.width,
                                    images.classes};
    communicator.broadcast(sizes);
    images.count = sizes[0];
    images.channels = sizes[1];
    images.height = sizes[2];
    images.width = sizes[3];
    images.classes = sizes[4];
    communicator.broadcast(images.pixels);
    communicator.broadcast(images.labels);
    communicator.broadcast(images.mean);
    communicator.broadcast(images.deviation);
}

} // namespace

ImageSplits read_images_on_every_rank(const parallel::Communicator& communicator,
                                      const std::string& file, std::int64_t held_out,
                                      const std::function<void(std::int64_t)>& check) {
    ImageSplits splits;
    communicator.on_root([&] { splits = read_splits(file, held_out, check); });
    for (accuracy::ImageData* part : {&splits.train, &splits.held_out, &splits.test})
        broadcast(communicator, *part);
    return splits;
}

} // namespace hdap::study
