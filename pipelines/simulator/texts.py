"""What people write to chatbots: several languages, and marks that break careless code."""

from random import Random

_TEMPLATES = (
    "Hello!",
    "2+{n}=?",
    "Where is my order #{n}?",
    "I'd like a refund for invoice {n}, please.",
    'The app says "error {n}" when I log in',
    "Can I change my booking from the {n}th to the {m}th?",
    "opening hours on Sunday?",
    "It's not working\n\nSteps:\n1. open\n2. tap\n3. nothing",
    "Path is C:\\temp\\report_{n}.csv, comma, and a \ttab",
    "What does plan {n} cost per month; VAT included?",
    "Thanks! \U0001f64f",
    "\U0001f600\U0001f44d\U0001f3fd order {n} arrived",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 family ticket for {m}?",
    "สวัสดีครับ ขอสอบถามคำสั่งซื้อ {n}",
    "ร้านเปิดกี่โมงคะ",
    "ขอคืนเงินได้ไหม หมายเลข {n}",
    "ขอบคุณมากค่ะ \U0001f64f",
    "안녕하세요, 주문 {n}번 언제 도착하나요?",
    "환불하고 싶어요",
    "비밀번호를 잊어버렸어요 ({m}번 시도)",
    "你好 我想查询订单 {n}",
    "请问几点开门",
    "我的优惠券 {n} 不能用、怎么办。",
    "注文番号{n}の配送状況を教えてください。",
    "返品したいのですが",
    "「予約{m}」を取り消せますか",
    "¿Tienen envío a Perú? Pedido {n}",
    "Grüße aus Köln: Rückgabe Nr. {n}",
    "<b>bold</b> & <script>alert({m})</script>",
    "{{name}} asked for {n}% off; it''s -- urgent",
    "null",
    " leading and trailing space ",
    "",
    "A long one. " * 12 + "Ticket {n}.",
)


def line(number: int) -> str:
    """Return a text, the same for the same number."""
    return _TEMPLATES[number % len(_TEMPLATES)].format(n=number % 99_999, m=1 + number % 28)


def texts(rng: Random, count: int = 1500) -> list[str]:
    """Draw a stock of messages that many conversations share, which keeps a large world small."""
    templates = [*_TEMPLATES, *rng.choices(_TEMPLATES, k=max(0, count - len(_TEMPLATES)))]
    return [text.format(n=rng.randint(1, 99_999), m=rng.randint(1, 28)) for text in templates]
