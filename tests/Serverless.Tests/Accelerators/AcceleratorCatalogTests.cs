using Serverless.Catalog.Accelerators;
using Shouldly;

namespace Serverless.Tests.Accelerators;

public sealed class AcceleratorCatalogTests
{
    [Fact]
    public void Names_are_those_of_flavors_and_differ()
    {
        var names = AcceleratorCatalog.All.SelectMany(one => one.Aliases.Prepend(one.Name)).ToArray();

        names.ShouldBeUnique();
        names.ShouldAllBe(name => name.Length > 0 && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'));
    }

    /// <summary>By what a flavor asks for a class is run by the images that run on it, also where its name says nothing.</summary>
    [Fact]
    public void A_resource_tells_the_images() => AcceleratorCatalog.All.ShouldAllBe(one => ImageFamily.OfResource(one.Resource) == one.Images);

    [Fact]
    public void Every_family_has_a_class() => AcceleratorCatalog.All.Select(one => one.Images).Distinct().ShouldBe(ImageFamily.All, ignoreOrder: true);

    [Theory]
    [InlineData("NVIDIA A10", 23_028L, "a10")]
    [InlineData("NVIDIA A10G", 23_028L, "a10g")]
    [InlineData("Tesla T4", 15_360L, "t4")]
    [InlineData("NVIDIA L4", null, "l4")]
    [InlineData("NVIDIA A100-SXM4-40GB", 40_960L, "a100-40gb")]
    [InlineData("NVIDIA A100 80GB PCIe", null, "a100-80gb")]
    [InlineData("NVIDIA A100-SXM4-80GB", 81_920L, "a100-80gb")]
    [InlineData("NVIDIA H100 80GB HBM3", 81_559L, "h100")]
    [InlineData("NVIDIA H200", 143_771L, "h200")]
    [InlineData("NVIDIA GeForce RTX 4090", 24_564L, "rtx-4090")]
    [InlineData("NVIDIA GeForce RTX 4090 Laptop GPU", 16_376L, null)] // another chip, with less
    [InlineData("NVIDIA A100", null, null)] // of one of two sizes
    [InlineData("NVIDIA GeForce GTX 1080", 8_192L, null)]
    [InlineData("", null, null)]
    public void A_device_is_of_the_class_that_it_says(string device, long? memory, string? name) => AcceleratorCatalog.OfDevice("NVIDIA", device, memory)?.Name.ShouldBe(name);
}
