#if defined(__x86_64__)
#define HDAP_VECTOR_BYTES 32
#define HDAP_ROWS 2
#define HDAP_COLUMNS 2
#include "filter_products_body.hpp"

const FilterProducts& avx2_filter_products() {
    return products;
}

} // namespace hdap::network
#endif
