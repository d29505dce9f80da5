using System.Text;
using Serverless.Hosting.Webhooks;
using Shouldly;

namespace Serverless.Tests.Webhooks;

public sealed class WebhookSignatureTests
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// <summary>The vector that the libraries of Standard Webhooks are tested with.</summary>
    [Fact]
    public void It_is_as_the_standards_own_libraries_have_it() =>
        WebhookSignature.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", DateTimeOffset.FromUnixTimeSeconds(1614265330), Encoding.UTF8.GetBytes("""{"test": 2432232314}"""), WebhookSignature.ReadSecrets(Secret)!)
            .ShouldBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");

    [Fact]
    public void While_a_secret_is_replaced_it_is_signed_with_both()
    {
        var both = WebhookSignature.Sign("a", DateTimeOffset.UnixEpoch, default, WebhookSignature.ReadSecrets($"{Secret} whsec_{Convert.ToBase64String(new byte[32])}")!).Split(' ');

        both.Length.ShouldBe(2);
        both[0].ShouldBe(WebhookSignature.Sign("a", DateTimeOffset.UnixEpoch, default, WebhookSignature.ReadSecrets(Secret)!));
        both[1].ShouldNotBe(both[0]);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    [InlineData("whsec_")]
    [InlineData("whsec_c2hvcnQ=")]
    [InlineData("whsec_no base64!")]
    public void What_is_no_secret_is_none(string? text) => WebhookSignature.ReadSecrets(text).ShouldBeNull();

    [Fact]
    public void A_secret_has_no_more_than_64_bytes() => WebhookSignature.ReadSecrets("whsec_" + Convert.ToBase64String(new byte[65])).ShouldBeNull();
}
