using Microsoft.Extensions.DependencyInjection;
using Serverless.Documents;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Shouldly;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>A document that is longer than a message to the sidecar may be, by our limit or by its own: never to be had by trying again, and said so.</summary>
public sealed class DaprLargeDocumentTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("67108864", 5)]
    [InlineData("1048576", 2)]
    public async Task What_is_too_long_for_a_message_is_no_outage(string most, int megabytes)
    {
        Assert.SkipWhen(Daprd.Absent is not null, Daprd.Absent ?? "");
        var folder = Directory.CreateTempSubdirectory("serverless-dapr-").FullName;
        File.Copy(Path.Combine(Checkout.Root, "components", "laptop", "configuration.yaml"), Path.Combine(folder, "configuration.yaml"));
        Directory.CreateDirectory(Path.Combine(folder, "resources"));
        File.WriteAllText(Path.Combine(folder, "resources", "state.yaml"), "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: statestore}\nspec: {type: state.in-memory, version: v1}\n");
        await using var sidecar = await Daprd.StartNewAsync(new DaprdSettings { AppId = "gateway", Folder = folder, Arguments = ["--resources-path", "resources", "--config", "configuration.yaml"] }, Token);
        await using var services = DaprParts.ServicesOf(sidecar, ("Dapr:MaxMessageBytes", most));
        var store = services.GetRequiredService<IDocumentStore>();
        var large = new DocumentKey("requests", "acme:research", "large") { IsUnlisted = true };
        byte[] json = [(byte)'"', .. Enumerable.Repeat((byte)'a', megabytes << 20), (byte)'"'];

        var refused = await Should.ThrowAsync<ServingException>(async () => await store.SaveAsync(large, json, SaveCondition.New, null, Token));

        refused.Fault.Error.ShouldBe(ServingError.OutputTooLarge);
        refused.Fault.Message.ShouldContain(most);
        store.MaxDocumentBytes.ShouldBeLessThan(long.Parse(most, System.Globalization.CultureInfo.InvariantCulture));
        (await store.SaveAsync(large with { Id = "small" }, "{}"u8.ToArray(), SaveCondition.New, null, Token)).ShouldNotBeNull("others are taken");
    }
}
